#include "delivery/delivery_engine.h"

#include <algorithm>
#include <utility>

#include "telemetry/log.h"

namespace outboxd {
namespace {

// A wall clock may be set forward at any time: look at it at least this often while something is due later.
constexpr Millis kMaxTimer{1000};
// While nobody knows whether the partitions are still ours: how often to ask again.
constexpr Millis kDoubt{100};
// How long an operator waits when a name server does not answer.
constexpr Millis kMaxPreflight{2000};

Attempt make_attempt(AttemptId id, int number, Time started_at, const Target& target, SendResult result) {
  return {.id = id,
          .number = number,
          .started_at = started_at,
          .timings = result.timings,
          .outcome = result.outcome,
          .status = result.status,
          .error = std::move(result.error),
          .request_line = "POST " + target.to->url.text,
          .remote_address = std::move(result.remote_address),
          .resent = result.resent,
          .response_headers = std::move(result.response_headers),
          .response_body = std::move(result.response_body)};
}

// What an attempt ended with, in a few words: "http_5xx: HTTP status 503", "timeout: no answer in time".
std::string cause_of(const SendResult& result) {
  const std::string outcome(to_string(result.outcome));
  return result.error.empty() ? outcome : outcome + ": " + result.error;
}

bool contains(const PartitionSet& partitions, EndpointSeq endpoint) {
  return partitions.test(static_cast<std::size_t>(partition_of(endpoint)));
}

}  // namespace

DeliveryEngine::DeliveryEngine(const Parts& parts, Options options)
    : executor_(parts.executor),
      sender_(parts.sender),
      store_(parts.store),
      commits_(parts.commits),
      clock_(parts.clock),
      ids_(parts.ids),
      metrics_(parts.metrics),
      endpoints_of_(parts.endpoints_of),
      options_(std::move(options)),
      scheduler_(options_.scheduler),
      inbox_(parts.executor, parts.clock, options_.max_pieces,
             {.fact = [this](Fact& fact) { apply(fact, moment_of(clock_)); },
              .answer = [this](Inbox::Answer& answer) { ended(answer); }}),
      backlog_(parts.backlog_executor, parts.store.new_reader(), parts.clock, backlog_callbacks()) {}

// Facts that were heard before may be missing in what was read, never the reverse: it is judged behind them.
BacklogReader::Callbacks DeliveryEngine::backlog_callbacks() {
  BacklogReader::Callbacks callbacks;
  callbacks.found = [this](EndpointSeq endpoint, DueWindow found) {
    executor_.post([this, endpoint, found = std::make_shared<DueWindow>(std::move(found))] {
      inbox_.put(
          [this, endpoint, found] { scheduler_.fetched(endpoint, std::move(*found), moment_of(clock_)); });
    });
  };
  callbacks.expired = [this](std::vector<DueDelivery> found) {
    executor_.post([this, found = std::make_shared<std::vector<DueDelivery>>(std::move(found))] {
      inbox_.put([this, found] { scheduler_.expired(std::move(*found), moment_of(clock_)); });
    });
  };
  return callbacks;
}

void DeliveryEngine::hear(Facts facts) {
  inbox_.put(std::move(facts));
}

void DeliveryEngine::apply(Fact& fact, Moment now) {
  if (auto* ready = std::get_if<DeliveryReady>(&fact)) return scheduler_.hear(std::move(*ready), now);
  if (const auto* outcome = std::get_if<OutcomeRecorded>(&fact)) return apply_outcome(*outcome, now);
  if (const auto* due = std::get_if<DueOnDisk>(&fact)) return scheduler_.hear(*due, now);
  if (const auto* withdrawn = std::get_if<DeliveryWithdrawn>(&fact)) return scheduler_.hear(*withdrawn);
  if (const auto* moved = std::get_if<DueTimesMoved>(&fact)) return scheduler_.hear(*moved);
  const auto* changed = std::get_if<EndpointChanged>(&fact);
  if (changed == nullptr || !contains(owned_, changed->endpoint)) return;
  changed->now ? put_endpoint(changed->now) : drop_endpoint(changed->endpoint, true);
}

void DeliveryEngine::apply_outcome(const OutcomeRecorded& fact, Moment now) {
  scheduler_.hear(fact, now);
  if (fact.subject == nullptr || !fact.now.moved || fact.now.state == DeliveryState::kPending) return;
  const OutcomeSubject& subject = *fact.subject;
  with_series(*subject.endpoint,
              [&](telemetry::EndpointSeries& its) { metrics_.delivery_finished(its, fact.now.state); });
  if (fact.now.state != DeliveryState::kDead) return;
  log::warn("dead letter", {{"delivery", subject.delivery.to_string()},
                            {"endpoint", subject.endpoint->id.to_string()},
                            {"reason", to_string(*fact.now.reason)},
                            {"error", fact.attempt ? fact.attempt->error : ""}});
  if (fact.now.reason != DeadReason::kDamaged) return;
  metrics_.delivery_damaged();
  log::error("an event on disk no longer matches its checksum and was not sent; see: outboxctl db check",
             {{"event_number", fact.key.event}, {"delivery", subject.delivery.to_string()}});
}

// The directory is read on this thread, so no change is missed: one that the directory already shows is also heard
// later as a fact, which changes nothing, and one that it does not show yet is heard as a fact.
void DeliveryEngine::own(const PartitionSet& partitions, Millis ordered_after) {
  inbox_.put([this, partitions, ordered_after] {
    owned_ |= partitions;
    for (Leaving& leaving : leaving_) leaving.partitions &= ~partitions;
    scheduler_.hold_ordered(partitions, clock_.monotonic() + ordered_after);
    for (const EndpointPtr& endpoint : endpoints_of_(partitions)) put_endpoint(endpoint);
  });
}

void DeliveryEngine::disown(const PartitionSet& partitions, bool abort, Disowned done) {
  inbox_.put([this, partitions, abort, done = std::move(done)] {
    owned_ &= ~partitions;
    for (const EndpointSeq seq : scheduler_.lanes_of(partitions)) {
      drop_endpoint(seq, false);
      if (abort) sender_.abort(seq);
    }
    leaving_.push_back({partitions, done});
  });
}

void DeliveryEngine::put_endpoint(const EndpointPtr& endpoint) {
  auto target = make_target(endpoint, options_.request);
  auto held = endpoint;
  if (!target) {
    log::error("an endpoint cannot be sent to, its deliveries wait; correct it with outboxctl endpoint set",
               {{"endpoint", endpoint->id.to_string()}, {"error", target.error().detail}});
    target = Target{.endpoint = endpoint, .to = std::make_shared<const Destination>(EndpointUrl{})};
    Endpoint paused = *endpoint;
    paused.state = EndpointState::kPaused;
    held = std::make_shared<const Endpoint>(std::move(paused));
  }
  if (const auto before = targets_.find(held->seq);
      before != targets_.end() && before->second->endpoint->url != held->url)
    certificates_.erase(held->seq);
  // From here on `endpoint` may be gone: it may be that of the target which is replaced.
  targets_[held->seq] = std::make_shared<const Target>(std::move(*target));
  series_.try_emplace(held->seq, held->id.to_string());
  scheduler_.put_endpoint(held, moment_of(clock_));
}

void DeliveryEngine::drop_endpoint(EndpointSeq seq, bool removed) {
  scheduler_.drop_endpoint(seq);
  certificates_.erase(seq);
  series_.erase(seq);
  const auto target = targets_.find(seq);
  if (target == targets_.end()) return;
  if (removed) metrics_.endpoint_removed(target->second->endpoint->id.to_string());
  targets_.erase(target);
}

void DeliveryEngine::set_policy(std::shared_ptr<const AddressPolicy> policy) {
  inbox_.put([this, policy = std::move(policy)] {
    sender_.set_policy(policy);
    scheduler_.policy_changed(moment_of(clock_));
  });
}

void DeliveryEngine::pump() {
  const Moment now = moment_of(clock_);
  if (!store_.may_send()) {
    set_timer(now.mono + kDoubt, now.mono);
    return finish_what_is_over();
  }
  Decisions decisions = scheduler_.next(now);
  for (auto& unsent : decisions.unsent) record(unsent.endpoint, unsent.delivery, std::move(unsent.record));
  for (auto& next : decisions.send) send(std::move(next), now);
  if (!decisions.send.empty()) sender_.flush();
  backlog_.ask(std::move(decisions.fetch), decisions.find_expired);
  set_timer(decisions.wake_at, now.mono);
  finish_what_is_over();
}

// A timer that fires too early only costs one round and is set again, so it is replaced only by an earlier one.
void DeliveryEngine::set_timer(std::optional<MonotonicTime> when, MonotonicTime now) {
  if (!when) return;
  const MonotonicTime at = std::clamp(*when, now, now + kMaxTimer);
  if (timer_ && timer_for_ <= at) return;
  if (timer_) executor_.cancel(*timer_);
  timer_for_ = at;
  timer_ = executor_.call_at(at, [this] { timer_.reset(); });
}

std::string DeliveryEngine::new_span_id() {
  return ids_.next().hex().substr(16);
}

void DeliveryEngine::send(Decisions::Send next, Moment now) {
  const auto target = targets_.at(next.delivery.key.endpoint);
  SendRequest request = build_request(*target, next.delivery.event, next.delivery.attempts_ever + 1, now.wall,
                                      next.delivery.event->traceparent ? new_span_id() : std::string());
  if (!request.body) return executor_.post([this, next = std::move(next)] { too_large(next); });
  request.group = next.delivery.key.endpoint;
  sender_.send(std::move(request),
               [this, next = std::move(next), target, at = now.wall](SendResult result) mutable {
                 inbox_.put(Inbox::Answer{std::move(next), target, at, std::move(result)});
               });
}

void DeliveryEngine::too_large(const Decisions::Send& unsent) {
  log::warn("an event is too large in the form that the endpoint wants",
            {{"event", unsent.delivery.event->id.to_string()},
             {"endpoint", unsent.endpoint->id.to_string()},
             {"limit", kMaxTemplatedBody}});
  record(unsent.endpoint, unsent.delivery,
         scheduler_.unsendable(unsent.delivery.key, DeadReason::kTooLarge, moment_of(clock_)));
}

void DeliveryEngine::ended(Inbox::Answer& answer) {
  const Decisions::Send& sent = answer.sent;
  const Target& target = *answer.target;
  SendResult& result = answer.result;
  const DueDelivery& delivery = sent.delivery;
  if (result.aborted) return scheduler_.abandoned(delivery.key);
  const Moment now = moment_of(clock_);
  note_certificate(*target.endpoint, result);
  with_series(*sent.endpoint, [&](telemetry::EndpointSeries& its) {
    metrics_.attempt(its, result.outcome, result.timings.total);
  });
  if (result.outcome == Outcome::kSuccess) metrics_.delivery_latency(now.wall - delivery.event->created_at);

  const AttemptReport report{result.outcome, result.status, result.retry_after, result.error,
                             result.timings.total};
  auto ended = scheduler_.attempt_ended(delivery.key, report, now);
  if (ended.failing_since) {
    commits_.submit(
        SetFailingSince{delivery.key.endpoint, *ended.failing_since, ended.recovered, result.outcome},
        [](const SetFailingSince&, const Result<Nothing>&) {});
  }
  log_transition(ended, *sent.endpoint, result);
  if (ended.disable) disable(delivery.key.endpoint, std::move(*ended.disable));
  if (!options_.store_responses) {
    result.response_headers.clear();
    result.response_body.clear();
  }
  ended.record.attempt = std::make_shared<const Attempt>(make_attempt(
      AttemptId{ids_.next()}, delivery.attempts_ever + 1, answer.started_at, target, std::move(result)));
  record(sent.endpoint, delivery, std::move(ended.record));
}

// Those of an endpoint that is not this engine's any more are looked up once more.
template <class Count>
void DeliveryEngine::with_series(const Endpoint& endpoint, Count count) {
  if (const auto known = series_.find(endpoint.seq); known != series_.end()) return count(known->second);
  telemetry::EndpointSeries passing(endpoint.id.to_string());
  count(passing);
}

// What a former URL showed says nothing about the endpoint as it is now.
void DeliveryEngine::note_certificate(const Endpoint& sent_to, const SendResult& result) {
  if (!result.certificate_expires_at) return;
  const auto known = targets_.find(sent_to.seq);
  if (known != targets_.end() && known->second->endpoint->url == sent_to.url)
    certificates_[sent_to.seq] = *result.certificate_expires_at;
}

// An endpoint's turn for the worse, once each; that it answers again, or is disabled, is logged when it is committed.
void DeliveryEngine::log_transition(const Scheduler::Ended& ended, const Endpoint& endpoint,
                                    const SendResult& result) {
  const bool failing = ended.failing_since && *ended.failing_since;
  if (ended.slowed_for && !failing) {
    log::warn("endpoint asks for fewer requests and is paused",
              {{"endpoint", endpoint.id.to_string()},
               {"name", endpoint.name},
               {"for", format_duration(*ended.slowed_for)},
               {"cause", cause_of(result)},
               {"retry_after", result.retry_after.value_or("")}});
  }
  if (failing) {
    log::warn("endpoint is failing: one request at a time until it answers",
              {{"endpoint", endpoint.id.to_string()},
               {"name", endpoint.name},
               {"failing_since", format_time(**ended.failing_since)},
               {"cause", cause_of(result)}});
  }
}

// Disables the endpoint in the version that this engine knows. If that is refused (the endpoint was changed or removed
// since), the lane continues with what was committed, which is here already or on its way as a fact.
void DeliveryEngine::disable(EndpointSeq endpoint, std::string reason) {
  const EndpointPtr known = targets_.at(endpoint)->endpoint;
  commits_.submit(DisableEndpoint{known->id, clock_.wall(), known->updated_at, std::move(reason)},
                  [this, endpoint](const DisableEndpoint& command, const Result<EndpointPtr>& disabled) {
                    if (disabled) return;
                    log::warn("endpoint not disabled", {{"endpoint", command.id.to_string()},
                                                        {"reason", command.reason},
                                                        {"error", disabled.error().detail}});
                    inbox_.put([this, endpoint] {
                      const auto target = targets_.find(endpoint);
                      if (target != targets_.end()) put_endpoint(target->second->endpoint);
                    });
                  });
}

// Ignores a refusal, which happens when outboxd stops: the lane relies on facts only, and the next start sends the
// delivery again.
void DeliveryEngine::record(const EndpointPtr& endpoint, const DueDelivery& delivery, RecordOutcome outcome) {
  outcome.urgent = delivery.sequence_key.has_value();  // the next delivery in order waits for this commit
  outcome.subject = std::make_shared<const OutcomeSubject>(
      OutcomeSubject{.delivery = delivery_id(delivery.key, delivery.created_at),
                     .event = delivery.event->id,
                     .endpoint = endpoint,
                     .type = delivery.event->type,
                     .attempts = delivery.attempts + (outcome.attempt ? 1 : 0)});
  commits_.submit(std::move(outcome), [](const RecordOutcome&, const Result<Recorded>&) {});
}

void DeliveryEngine::send_test(EndpointPtr endpoint, std::shared_ptr<const Event> event,
                               std::function<void(Attempt)> done) {
  inbox_.put([this, endpoint = std::move(endpoint), event = std::move(event), done = std::move(done)] {
    const Time now = clock_.wall();
    auto made = make_target(endpoint, options_.request);
    if (!made) {
      Attempt failed;
      failed.outcome = Outcome::kBlocked;
      failed.error = made.error().detail;
      failed.started_at = now;
      return done(std::move(failed));
    }
    const auto target = std::make_shared<const Target>(std::move(*made));
    // An operator's body is far smaller than what a template may make, so there is one.
    sender_.send(build_request(*target, event, 1, now, {}), [this, target, now, done](SendResult result) {
      note_certificate(*target->endpoint, result);
      if (result.outcome == Outcome::kSuccess) test_answered(*target->endpoint);
      // The full reason, because nothing of a test is stored; the API keeps it from tenants.
      if (!result.denial.empty()) result.error += ": " + result.denial;
      done(make_attempt(AttemptId{ids_.next()}, 1, now, *target, std::move(result)));
    });
  });
}

void DeliveryEngine::test_answered(const Endpoint& tested) {
  const auto known = targets_.find(tested.seq);
  if (known != targets_.end() && same_receiver(*known->second->endpoint, tested))
    scheduler_.try_now(tested.seq, moment_of(clock_));
}

void DeliveryEngine::preflight(EndpointUrl url, EndpointTls tls, std::function<void(Preflight)> done) {
  inbox_.put([this, url = std::move(url), tls = std::move(tls), done = std::move(done)]() mutable {
    SendRequest request;
    std::shared_ptr<const EndpointTls> files;
    if (!tls.empty()) files = std::make_shared<const EndpointTls>(std::move(tls));
    request.to = std::make_shared<const Destination>(std::move(url), RequestHeaders(), std::move(files));
    request.timeout = kMaxPreflight;
    request.preflight = true;
    sender_.send(std::move(request), [done = std::move(done)](SendResult result) {
      done({result.outcome, std::move(result.error), std::move(result.denial)});
    });
  });
}

void DeliveryEngine::ask_status(std::optional<EndpointSeq> only, std::function<void(EngineStatus)> answer) {
  inbox_.put([this, only, answer = std::move(answer)] {
    EngineStatus status{scheduler_.in_flight(), scheduler_.lanes(moment_of(clock_), only), {}, owned_};
    if (!only) {
      status.certificates = certificates_;
    } else if (const auto one = certificates_.find(*only); one != certificates_.end()) {
      status.certificates.insert(*one);
    }
    answer(std::move(status));
  });
}

void DeliveryEngine::stop(Millis limit, std::function<void()> done) {
  inbox_.put([this, limit, done = std::move(done)] {
    stopped_ = done;
    scheduler_.drain();
    executor_.call_at(executor_.now() + limit, [this] { sender_.abort_all(); });
  });
}

void DeliveryEngine::finish_what_is_over() {
  if (stopped_ && scheduler_.in_flight() == 0) std::exchange(stopped_, nullptr)();
  if (leaving_.empty()) return;
  std::vector<Leaving> left;
  std::swap(left, leaving_);
  for (Leaving& leaving : left) {
    if (!scheduler_.is_rid_of(leaving.partitions)) {
      leaving_.push_back(std::move(leaving));
    } else if (leaving.done) {
      leaving.done(leaving.partitions);
    }
  }
}

}  // namespace outboxd
