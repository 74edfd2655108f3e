#include "maintenance/retention.h"

#include <algorithm>

#include "telemetry/log.h"

namespace outboxd {

Retention::Retention(GroupCommit& commits, const Clock& clock, telemetry::Metrics& metrics,
                     Executor& executor)
    : commits_(commits), clock_(clock), metrics_(metrics), executor_(executor) {}

void Retention::set(const RetentionPeriods& periods) {
  delivered_ = periods.delivered;
  dead_ = periods.dead;
  at_least_ = periods.at_least;
  payload_ = periods.payload.value_or(kForEver);
}

RetentionPeriods Retention::periods() const {
  RetentionPeriods periods{.delivered = delivered_, .dead = dead_, .at_least = at_least_};
  if (const Millis payload = payload_; payload != kForEver) periods.payload = payload;
  return periods;
}

Time Retention::delivered_kept_since() const {
  const RetentionPeriods kept = periods();
  return clock_.wall() - std::max(kept.delivered, kept.at_least) + std::chrono::minutes(1);
}

void Retention::later(Millis wait, Executor::Task task) {
  executor_.post([this, wait, task = std::move(task)]() mutable {
    executor_.call_at(executor_.now() + wait, std::move(task));
  });
}

void Retention::start() {
  if (state_.exchange(State::kRunning) == State::kIdle) later(kPause, [this] { round(); });
}

void Retention::stop() {
  auto running = State::kRunning;
  state_.compare_exchange_strong(running, State::kStopping);
}

void Retention::hear(const DueTimesMoved& fact) {
  if (!fact.by_far) return;
  held_until_ = clock_.monotonic() + kHold;
  log::warn("retention deletes nothing for an hour: the clock jumped forward");
}

void Retention::round() {
  auto stopping = State::kStopping;
  if (state_.compare_exchange_strong(stopping, State::kIdle)) return;
  began_ = clock_.monotonic();
  deleted_ = false;
  pause_ = kPause;
  next_step({});
}

void Retention::round_ended() {
  const auto took = std::chrono::floor<Millis>(clock_.monotonic() - began_);
  later(deleted_ ? kInterval : std::clamp<Millis>(kIntervalFactor * took, kInterval, kMaxInterval),
        [this] { round(); });
}

bool Retention::is_held_up() const {
  return state_ != State::kRunning || clock_.monotonic() < held_until_.load();
}

void Retention::step_ended(bool deleted) {
  if (deleted) deleted_ = true;
  pause_ = deleted ? kPause : std::min(2 * pause_.load(), kMaxPause);
}

void Retention::next_step(DeliveryKey after) {
  if (is_held_up()) return round_ended();
  step(periods(), after, [this](const Result<Pruned>& pruned) {
    step_ended(pruned && pruned->events + pruned->deliveries > 0);
    if (!pruned) return round_ended();  // if refused (busy, full), the next round continues
    if (!pruned->next) return next_payloads(0);
    later(pause_, [this, next = *pruned->next] { next_step(next); });
  });
}

void Retention::next_payloads(EventSeq after) {
  const auto kept = periods().payload;
  if (!kept || is_held_up()) return round_ended();
  const Time now = clock_.wall();
  const PrunePayloads prune{.before = now - *kept, .at = now, .after = after, .limit = kRows};
  commits_.submit(prune, [this](const PrunePayloads&, const Result<PayloadsPruned>& pruned) {
    if (pruned) metrics_.pruned("payload", pruned->events);
    step_ended(pruned && pruned->events > 0);
    if (!pruned || !pruned->next) return round_ended();
    later(pause_, [this, next = *pruned->next] { next_payloads(next); });
  });
}

void Retention::step(const RetentionPeriods& periods, DeliveryKey after,
                     std::function<void(Result<Pruned>)> done) {
  const Time now = clock_.wall();
  const Prune prune{.delivered_before = now - std::max(periods.delivered, periods.at_least),
                    .dead_before = now - std::max(periods.dead, periods.at_least),
                    .at = now,
                    .limit = kRows,
                    .after = after};
  commits_.submit(prune, [this, done = std::move(done)](const Prune&, Result<Pruned> pruned) {
    if (pruned) {
      metrics_.pruned("event", pruned->events);
      metrics_.pruned("delivery", pruned->deliveries);
      metrics_.pruned("attempt", pruned->attempts);
      metrics_.pruned("idempotency", pruned->idempotency_keys);
      metrics_.pruned("outbox", pruned->outbox_rows);
      metrics_.pruned("endpoint", pruned->endpoints);
      metrics_.pruned("batch", pruned->batches);
    }
    done(std::move(pruned));
  });
}

}  // namespace outboxd
