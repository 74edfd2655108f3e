#include "bench/limit.h"

#include <ctime>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bench/event_mark.h"
#include "bench/latencies.h"
#include "common/clock.h"
#include "delivery/request_builder.h"
#include "outbound/http_sender.h"
#include "runtime/event_loop.h"
#include "store/sqlite/sqlite_store.h"
#include "telemetry/log.h"

namespace outboxd::bench {
namespace {

constexpr std::size_t kMaxOutcomesPerCommit = 1024;  // GroupCommit's default
constexpr std::int64_t kMaxUnfinished = 8192;        // events accepted and not recorded yet

std::chrono::nanoseconds cpu_of_this_thread() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::shared_ptr<const AddressPolicy> loopback_policy() {
  AddressPolicy::Options options;
  options.allow_http = true;
  options.ports = {};
  options.allow_networks = {*Network::parse("127.0.0.0/8")};
  return std::make_shared<const AddressPolicy>(options);
}

// The half that sends: events in, outcomes out.
class Sending {
 public:
  Sending(Target target, int in_flight, UuidGenerator& ids)
      : target_(std::move(target)),
        in_flight_(static_cast<std::size_t>(in_flight)),
        ids_(ids),
        sender_(loop_, loopback_policy(), {}),
        thread_([this] { run(); }) {}
  ~Sending() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }
  Sending(const Sending&) = delete;

  void send(std::vector<std::shared_ptr<const Event>> events) {
    loop_.post([this, events = std::move(events)] {
      waiting_.insert(waiting_.end(), events.begin(), events.end());
      fill();
    });
  }

  // What has ended; waits for something to end if asked to.
  std::vector<RecordOutcome> take(bool wait) {
    std::unique_lock lock(mutex_);
    if (wait) something_ended_.wait(lock, [this] { return !outcomes_.empty(); });
    std::vector<RecordOutcome> taken;
    const std::size_t count = std::min(outcomes_.size(), kMaxOutcomesPerCommit);
    std::move(outcomes_.begin(), outcomes_.begin() + static_cast<std::ptrdiff_t>(count),
              std::back_inserter(taken));
    outcomes_.erase(outcomes_.begin(), outcomes_.begin() + static_cast<std::ptrdiff_t>(count));
    return taken;
  }

  struct Totals {
    std::chrono::nanoseconds cpu;
    std::int64_t failed;
  };
  Totals finish() {
    loop_.stop();
    thread_.join();
    return {cpu_, failed_};
  }

 private:
  void run() {
    loop_.run();
    cpu_ = cpu_of_this_thread();
  }

  void fill() {
    while (!waiting_.empty() && sender_.in_flight() < in_flight_) {
      const auto event = std::move(waiting_.front());
      waiting_.pop_front();
      const Time now = clock_.wall();
      sender_.send(build_request(target_, event, 1, now, {}),
                   [this, event, now](SendResult result) { ended(*event, now, std::move(result)); });
    }
  }

  void ended(const Event& event, Time started_at, SendResult result) {
    if (result.outcome != Outcome::kSuccess) ++failed_;
    RecordOutcome outcome;
    outcome.key = {event.seq, target_.endpoint->seq};
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
    {
      const std::lock_guard lock(mutex_);
      outcomes_.push_back(std::move(outcome));
    }
    something_ended_.notify_one();
    fill();
  }

  const Target target_;
  const std::size_t in_flight_;
  UuidGenerator& ids_;
  SystemClock clock_;
  EventLoop loop_;
  HttpSender sender_;
  std::deque<std::shared_ptr<const Event>> waiting_;
  std::int64_t failed_ = 0;
  std::chrono::nanoseconds cpu_{};
  std::mutex mutex_;
  std::condition_variable something_ended_;
  std::deque<RecordOutcome> outcomes_;  // guarded by mutex_
  std::thread thread_;
};

// The half that writes.
class Writing {
 public:
  Writing(const std::filesystem::path& folder, const LimitLoad& load)
      : load_(load), store_(open_sqlite_store({.path = (folder / "outbox.db").string()})) {}

  LimitResult run() {
    const EndpointPtr endpoint = create_endpoint();
    auto target = make_target(endpoint, {.user_agent = "outboxd/limit"});
    if (!target) throw std::runtime_error("limit: " + target.error().detail);
    Sending sending(std::move(*target), load_.in_flight, ids_);
    LimitResult result;
    const auto cpu_before = cpu_of_this_thread();
    const std::int64_t start = now_ns();
    while (recorded_ < load_.events) {
      std::vector<Command> batch = accept_some(endpoint->seq);
      for (auto& outcome : sending.take(batch.empty())) {
        batch.emplace_back(std::move(outcome));
        ++recorded_;
      }
      apply(batch);
      ++result.commits;
      sending.send(accepted_in(batch));
    }
    result.seconds = static_cast<double>(now_ns() - start) / 1e9;
    const auto totals = sending.finish();
    result.sending_cpu = totals.cpu;
    result.writing_cpu = cpu_of_this_thread() - cpu_before;
    result.failed = totals.failed;
    return result;
  }

 private:
  EndpointPtr create_endpoint() {
    Endpoint endpoint;
    endpoint.id = EndpointId{ids_.next()};
    endpoint.url = load_.url;
    endpoint.created_at = endpoint.updated_at = clock_.wall();
    endpoint.secrets.push_back({load_.secret, endpoint.created_at, {}});
    const Applied made = apply({CreateEndpoint{std::make_shared<const Endpoint>(std::move(endpoint))}});
    return std::get<EndpointPtr>(*made.answers[0]);
  }

  std::vector<Command> accept_some(EndpointSeq endpoint) {
    std::vector<Command> batch;
    for (int i = 0; i < load_.requests_per_commit; ++i) {
      const std::int64_t left = std::min(load_.events - accepted_, recorded_ + kMaxUnfinished - accepted_);
      if (left < std::min<std::int64_t>(load_.events_per_request, load_.events - accepted_) || left <= 0)
        break;
      AcceptEvents request{.events = {}, .idempotency_window = std::chrono::hours(24)};
      for (int n = 0; n < load_.events_per_request && accepted_ < load_.events; ++n)
        request.events.push_back(new_event(endpoint));
      batch.emplace_back(std::move(request));
    }
    return batch;
  }

  NewEvent new_event(EndpointSeq endpoint) {
    const Time now = clock_.wall();
    NewEvent made;
    made.event = std::make_shared<Event>();
    made.event->id = EventId{ids_.next()};
    made.event->type = "bench.event";
    made.event->payload = payload_of({0, accepted_++, now_ns()});
    made.event->created_at = now;
    made.endpoints.emplace_back().endpoint = endpoint;
    made.deliveries = 1;
    return made;
  }

  Applied apply(const std::vector<Command>& commands) {
    std::vector<const Command*> batch;
    batch.reserve(commands.size());
    for (const Command& command : commands) batch.push_back(&command);
    Applied applied = store_->writer().apply({batch, store_->ownership().token});
    for (const auto& answer : applied.answers) {
      if (!answer) throw std::runtime_error("limit: the store refused: " + answer.error().detail);
    }
    store_->writer().maintain();
    return applied;
  }

  static std::vector<std::shared_ptr<const Event>> accepted_in(const std::vector<Command>& batch) {
    std::vector<std::shared_ptr<const Event>> events;
    for (const Command& command : batch) {
      const auto* const accepted = std::get_if<AcceptEvents>(&command);
      if (accepted == nullptr) continue;
      for (const NewEvent& made : accepted->events) events.push_back(made.event);
    }
    return events;
  }

  const LimitLoad& load_;
  SystemClock clock_;
  UuidGenerator ids_{clock_};
  std::unique_ptr<Store> store_;
  std::int64_t accepted_ = 0, recorded_ = 0;
};

}  // namespace

LimitResult run_limit(const std::filesystem::path& folder, const LimitLoad& load) {
  log::configure(log::Level::kWarn, log::Format::kAuto);  // that it made a database is no news here
  return Writing(folder, load).run();
}

}  // namespace outboxd::bench
