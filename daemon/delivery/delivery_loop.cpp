#include "delivery/delivery_loop.h"

#include <algorithm>
#include <span>

#include "store/fail_stop.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

// A wall clock may be set forward at any time: look at it at least this often while something is due later.
constexpr Millis kLongestTimer{1000};
// What an operator waits for when a name server is silent.
constexpr Millis kLongestJudgement{2000};

HttpSender::Options counting_denials(HttpSender::Options options, telemetry::Metrics& metrics) {
  options.on_denied = [&metrics](std::string_view reason) { metrics.policy_denied(reason); };
  return options;
}

Attempt make_attempt(AttemptId id, int number, Time started_at, const Target& target, SendResult result) {
  return {.id = id,
          .number = number,
          .started_at = started_at,
          .timings = result.timings,
          .outcome = result.outcome,
          .status = result.status,
          .error = std::move(result.error),
          .request_line = "POST " + target.url.text,
          .remote_address = std::move(result.remote_address),
          .resent = result.resent,
          .response_headers = std::move(result.response_headers),
          .response_body = std::move(result.response_body)};
}

}  // namespace

DeliveryLoop::DeliveryLoop(Store& store, GroupCommit& commits, const Clock& clock, UuidGenerator& ids,
                           telemetry::Metrics& metrics, const std::shared_ptr<const AddressPolicy>& policy,
                           Options options, const DeliveryHooks& hooks)
    : commits_(commits),
      clock_(clock),
      ids_(ids),
      metrics_(metrics),
      options_(std::move(options)),
      hooks_(hooks),
      scheduler_(options_.scheduler),
      sender_(loop_, policy, counting_denials(options_.sender, metrics)),
      backlog_(store.new_reader(), clock, backlog_callbacks()) {}

BacklogReader::Callbacks DeliveryLoop::backlog_callbacks() {
  BacklogReader::Callbacks callbacks;
  callbacks.found = [this](EndpointSeq endpoint, DueWindow found) {
    loop_.post([this, endpoint, found = std::make_shared<DueWindow>(std::move(found))] {
      scheduler_.fetched(endpoint, std::move(*found), moment_of(clock_));
    });
  };
  callbacks.expired = [this](std::vector<DueDelivery> found) {
    loop_.post([this, found = std::make_shared<std::vector<DueDelivery>>(std::move(found))] {
      scheduler_.expired(std::move(*found), moment_of(clock_));
    });
  };
  return callbacks;
}

void DeliveryLoop::end_thread() {
  if (!thread_.joinable()) return;
  loop_.stop();
  thread_.join();
}

void DeliveryLoop::start(const std::vector<EndpointPtr>& endpoints) {
  for (const auto& endpoint : endpoints) put_endpoint(endpoint);
  loop_.after_each_round([this] { pump(); });
  thread_ = start_thread("delivery", [this] { loop_.run(); });
  loop_.post([] {});  // a first round
}

void DeliveryLoop::put_endpoint(const EndpointPtr& endpoint) {
  auto target = make_target(endpoint);
  if (!target) {
    log::error("an endpoint cannot be sent to, its deliveries wait; correct it with outboxctl endpoint set",
               {{"endpoint", endpoint->id.to_string()}, {"error", target.error().detail}});
    targets_.erase(endpoint->seq);
    const auto held = std::make_shared<Endpoint>(*endpoint);
    held->state = EndpointState::kPaused;
    return scheduler_.put_endpoint(held, moment_of(clock_));
  }
  targets_[endpoint->seq] = std::make_shared<const Target>(std::move(*target));
  scheduler_.put_endpoint(endpoint, moment_of(clock_));
}

void DeliveryLoop::endpoint_changed(EndpointSeq seq, EndpointPtr endpoint) {
  loop_.post([this, seq, endpoint = std::move(endpoint)] {
    if (endpoint) return put_endpoint(endpoint);
    scheduler_.remove_endpoint(seq);
    const auto target = targets_.find(seq);
    if (target == targets_.end()) return;
    metrics_.endpoint_removed(target->second->endpoint->id.to_string());
    targets_.erase(target);
  });
}

void DeliveryLoop::offer(std::vector<DueDelivery> fresh) {
  loop_.post([this, fresh = std::make_shared<std::vector<DueDelivery>>(std::move(fresh))] {
    const Moment now = moment_of(clock_);
    for (auto& delivery : *fresh) scheduler_.offer(std::move(delivery), now);
  });
}

void DeliveryLoop::wake(EndpointSeq endpoint, Time due) {
  loop_.post([this, endpoint, due] { scheduler_.wake(endpoint, due, moment_of(clock_)); });
}

void DeliveryLoop::withdraw(DeliveryKey key) {
  loop_.post([this, key] { scheduler_.withdraw(key); });
}

void DeliveryLoop::set_policy(std::shared_ptr<const AddressPolicy> policy) {
  loop_.post([this, policy = std::move(policy)] {
    sender_.set_policy(policy);
    scheduler_.policy_changed(moment_of(clock_));
  });
}

void DeliveryLoop::look_again() {
  loop_.post([this] { scheduler_.look_again(); });
}

void DeliveryLoop::pump() {
  const Moment now = moment_of(clock_);
  Decisions decisions = scheduler_.next(now);
  for (auto& unsent : decisions.unsent) {
    record(unsent.endpoint, unsent.delivery, std::move(unsent.record), "");
  }
  for (auto& next : decisions.send) send(std::move(next), now);
  if (!decisions.send.empty()) sender_.flush();
  backlog_.ask(std::move(decisions.fetch), decisions.find_expired);
  set_timer(decisions.wake_at, now.mono);
  if (stopping_) finish_if_idle();
}

// A timer that runs too early costs one round and sets itself anew; so only an earlier one replaces it.
void DeliveryLoop::set_timer(std::optional<MonotonicTime> when, MonotonicTime now) {
  if (!when) return;
  const MonotonicTime at = std::clamp(*when, now, now + kLongestTimer);
  if (timer_ && timer_for_ <= at) return;
  if (timer_) loop_.cancel(*timer_);
  timer_for_ = at;
  timer_ = loop_.call_at(at, [this] { timer_.reset(); });
}

std::string DeliveryLoop::new_span_id() {
  return ids_.next().hex().substr(16);
}

void DeliveryLoop::send(Decisions::Send next, Moment now) {
  const auto target = targets_.at(next.delivery.key.endpoint);
  SendRequest request =
      build_request(*target, next.delivery.event, next.delivery.attempts_ever + 1, now.wall,
                    next.delivery.event->traceparent ? new_span_id() : std::string(), options_.request);
  sender_.send(std::move(request), [this, next = std::move(next), target, at = now.wall](SendResult result) {
    ended(next, *target, at, std::move(result));
  });
}

void DeliveryLoop::ended(const Decisions::Send& sent, const Target& target, Time started_at,
                         SendResult result) {
  const DueDelivery& delivery = sent.delivery;
  if (result.aborted) return scheduler_.abandoned(delivery.key);
  const Moment now = moment_of(clock_);
  metrics_.attempt(sent.endpoint->id.to_string(), result.outcome, result.timings.total);
  if (result.outcome == Outcome::kSuccess) metrics_.delivery_latency(now.wall - delivery.event->created_at);

  const AttemptReport report{result.outcome, result.status, result.retry_after, result.error,
                             result.timings.total};
  auto ended = scheduler_.attempt_ended(delivery.key, report, now);
  if (ended.failing_since) {
    commits_.submit(SetFailingSince{delivery.key.endpoint, *ended.failing_since}, [](Write&) {});
  }
  if (ended.disable) hooks_.disable(targets_.at(delivery.key.endpoint)->endpoint, *ended.disable);
  if (ended.recovered) hooks_.recovered(sent.endpoint, *ended.recovered);
  const std::string error = result.error;
  if (!options_.store_responses) {
    result.response_headers.clear();
    result.response_body.clear();
  }
  ended.record.attempt =
      make_attempt(AttemptId{ids_.next()}, delivery.attempts_ever + 1, started_at, target, std::move(result));
  record(sent.endpoint, delivery, std::move(ended.record), error);
}

void DeliveryLoop::record(const EndpointPtr& endpoint, const DueDelivery& delivery, RecordOutcome outcome,
                          const std::string& error) {
  if (outcome.state != DeliveryState::kPending)
    metrics_.delivery_finished(endpoint->id.to_string(), to_string(outcome.state));
  if (outcome.state == DeliveryState::kDead) {
    log::warn("dead letter", {{"delivery", delivery_id(delivery.key, delivery.created_at).to_string()},
                              {"endpoint", endpoint->id.to_string()},
                              {"reason", to_string(*outcome.reason)},
                              {"error", error}});
    if (*outcome.reason == DeadReason::kDamaged) {
      metrics_.delivery_damaged();
      log::error("an event on disk no longer matches its checksum and was not sent; see: outboxctl db check",
                 {{"event_number", delivery.key.event},
                  {"delivery", delivery_id(delivery.key, delivery.created_at).to_string()}});
    }
    hooks_.dead(endpoint, delivery, outcome);
  }
  outcome.urgent = delivery.order_key.has_value();  // the next one waits for this commit
  // Not the event itself, whose payload would have to wait for the commit.
  AttemptSubject subject{delivery_id(delivery.key, delivery.created_at), delivery.event->id, endpoint->id,
                         delivery.event->type};
  commits_.submit(std::move(outcome), [this, subject = std::move(subject)](Write& write) {
    // Only when outboxd stops. The lane does not believe what was not committed: the next start sends it again.
    if (write.refused) return;
    auto& done = std::get<RecordOutcome>(write.command);
    loop_.post([this, key = done.key, next = done.next_in_order, overruled = done.overruled] {
      scheduler_.recorded(key, next);
      if (overruled) scheduler_.wake(key.endpoint, kAtOnce, moment_of(clock_));
    });
    if (hooks_.recorded && done.attempt) hooks_.recorded(subject, done);
  });
}

void DeliveryLoop::send_test(EndpointPtr endpoint, std::shared_ptr<const Event> event,
                             std::function<void(Attempt)> done) {
  loop_.post([this, endpoint = std::move(endpoint), event = std::move(event), done = std::move(done)] {
    const Time now = clock_.wall();
    auto made = make_target(endpoint);
    if (!made) {
      Attempt failed;
      failed.outcome = Outcome::kBlocked;
      failed.error = made.error().detail;
      failed.started_at = now;
      return done(std::move(failed));
    }
    const auto target = std::make_shared<const Target>(std::move(*made));
    sender_.send(build_request(*target, event, 1, now, {}, options_.request),
                 [this, target, now, done](SendResult result) {
                   // Whoever sends a test is an operator, and nothing of it is stored.
                   if (!result.denial.empty()) result.error += ": " + result.denial;
                   done(make_attempt(AttemptId{ids_.next()}, 1, now, *target, std::move(result)));
                 });
  });
}

void DeliveryLoop::judge(EndpointUrl url, EndpointTls tls, std::function<void(Judgement)> done) {
  loop_.post([this, url = std::move(url), tls = std::move(tls), done = std::move(done)]() mutable {
    SendRequest request;
    request.url = std::move(url);
    if (!tls.empty()) request.tls = std::make_shared<const EndpointTls>(std::move(tls));
    request.timeout = kLongestJudgement;
    request.judge_only = true;
    sender_.send(std::move(request), [done = std::move(done)](SendResult result) {
      done({result.outcome, std::move(result.error), std::move(result.denial)});
    });
  });
}

void DeliveryLoop::ask_status(std::function<void(DeliveryStatus)> answer) {
  loop_.post([this, answer = std::move(answer)] { answer({scheduler_.in_flight(), scheduler_.lanes()}); });
}

void DeliveryLoop::finish_if_idle() {
  if (finished_ || scheduler_.in_flight() > 0) return;
  finished_ = true;
  idle_.set_value();
}

void DeliveryLoop::begin_stop(Millis limit) {
  loop_.post([this, limit] {
    stopping_ = true;
    scheduler_.drain();
    loop_.call_at(std::chrono::steady_clock::now() + limit, [this] { sender_.abort_all(); });
  });
}

}  // namespace outboxd
