#include "bench/sending.h"

#include <ctime>

#include <algorithm>
#include <iterator>
#include <utility>

namespace outboxd::bench {
namespace {

std::shared_ptr<const AddressPolicy> loopback_policy() {
  AddressPolicy::Options options;
  options.allow_http = true;
  options.ports = {};
  options.allow_networks = {*Network::parse("127.0.0.0/8")};
  return std::make_shared<const AddressPolicy>(options);
}

// What the sink answers, without being asked.
SendResult success() {
  SendResult result;
  result.outcome = Outcome::kSuccess;
  result.status = 200;
  result.remote_address = "127.0.0.1";
  return result;
}

}  // namespace

std::chrono::nanoseconds cpu_of_this_thread() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

Sending::Sending(Target target, int in_flight, UuidGenerator& ids)
    : target_(std::move(target)),
      in_flight_(static_cast<std::size_t>(in_flight)),
      ids_(ids),
      sender_(loop_, loopback_policy(), {}),
      thread_([this] {
        loop_.run();
        cpu_ = cpu_of_this_thread();
      }) {}

Sending::~Sending() {
  loop_.stop();
  if (thread_.joinable()) thread_.join();
}

void Sending::send(std::vector<ToSend> deliveries) {
  if (deliveries.empty()) return;
  if (in_flight_ == 0) {
    std::vector<RecordOutcome> outcomes;
    outcomes.reserve(deliveries.size());
    for (const ToSend& delivery : deliveries)
      outcomes.push_back(outcome_of(delivery, clock_.wall(), success()));
    return add(std::move(outcomes));
  }
  loop_.post([this, deliveries = std::move(deliveries)] {
    waiting_.insert(waiting_.end(), deliveries.begin(), deliveries.end());
    fill();
  });
}

std::vector<RecordOutcome> Sending::take(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  if (patience.count() > 0) something_ended_.wait_for(lock, patience, [this] { return !outcomes_.empty(); });
  std::vector<RecordOutcome> taken;
  const std::size_t count = std::min(outcomes_.size(), kMaxOutcomesPerCommit);
  taken.reserve(count);
  std::move(outcomes_.begin(), outcomes_.begin() + static_cast<std::ptrdiff_t>(count),
            std::back_inserter(taken));
  outcomes_.erase(outcomes_.begin(), outcomes_.begin() + static_cast<std::ptrdiff_t>(count));
  return taken;
}

Sending::Totals Sending::finish() {
  loop_.stop();
  thread_.join();
  return {cpu_, failed_};
}

void Sending::fill() {
  while (!waiting_.empty() && sender_.in_flight() < in_flight_) {
    const ToSend delivery = std::move(waiting_.front());
    waiting_.pop_front();
    const Time now = clock_.wall();
    sender_.send(build_request(target_, delivery.event, 1, now, {}),
                 [this, delivery, now](SendResult result) { ended(delivery, now, std::move(result)); });
  }
}

void Sending::ended(const ToSend& delivery, Time started_at, SendResult result) {
  if (result.outcome != Outcome::kSuccess) ++failed_;
  std::vector<RecordOutcome> outcomes;
  outcomes.push_back(outcome_of(delivery, started_at, std::move(result)));
  add(std::move(outcomes));
  fill();
}

void Sending::add(std::vector<RecordOutcome> outcomes) {
  {
    const std::lock_guard lock(mutex_);
    std::move(outcomes.begin(), outcomes.end(), std::back_inserter(outcomes_));
  }
  something_ended_.notify_one();
}

RecordOutcome Sending::outcome_of(const ToSend& delivery, Time started_at, SendResult result) {
  RecordOutcome outcome;
  outcome.key = {delivery.event->seq, delivery.endpoint};
  outcome.state = DeliveryState::kDelivered;
  outcome.at = clock_.wall();
  Attempt attempt;
  attempt.id = AttemptId{ids_.next()};
  attempt.number = 1;
  attempt.started_at = started_at;
  attempt.timings = result.timings;
  attempt.outcome = result.outcome;
  attempt.status = result.status;
  attempt.error = std::move(result.error);
  attempt.request_line = "POST " + target_.to->url.text;
  attempt.response_headers = std::move(result.response_headers);
  attempt.response_body = std::move(result.response_body);
  outcome.attempt = std::make_shared<const Attempt>(std::move(attempt));
  return outcome;
}

}  // namespace outboxd::bench
