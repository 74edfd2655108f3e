#include "maintenance/retention.h"

#include <algorithm>

#include "telemetry/log.h"

namespace outboxd {

Retention::Retention(GroupCommit& commits, const Clock& clock, telemetry::Metrics& metrics, Later later)
    : commits_(commits), clock_(clock), metrics_(metrics), later_(std::move(later)) {}

void Retention::set(const Keep& keep) {
  delivered_ = keep.delivered;
  dead_ = keep.dead;
  at_least_ = keep.at_least;
}

Retention::Keep Retention::keep() const {
  return {delivered_, dead_, at_least_};
}

void Retention::start() {
  later_(kPause, [this] { round(); });
}

void Retention::hold() {
  held_until_ = clock_.monotonic() + kHold;
  log::warn("retention deletes nothing for an hour: the clock jumped forward");
}

void Retention::round() {
  if (stopped_) return;
  began_ = clock_.monotonic();
  deleted_ = false;
  pause_ = kPause;
  if (began_ < held_until_.load()) return round_ended();
  next_step({});
}

void Retention::round_ended() {
  const auto took = std::chrono::floor<Millis>(clock_.monotonic() - began_);
  later_(deleted_ ? kInterval : std::clamp<Millis>(kIntervalFactor * took, kInterval, kLongestInterval),
         [this] { round(); });
}

void Retention::next_step(DeliveryKey after) {
  if (stopped_) return;
  step(keep(), after, [this](const Prune& prune, const std::optional<Problem>& refused) {
    const bool deleted = prune.pruned.events + prune.pruned.deliveries > 0;
    if (deleted) deleted_ = true;
    pause_ = deleted ? kPause : std::min(2 * pause_.load(), kLongestPause);
    if (refused || !prune.next) return round_ended();  // busy, full or stopping: the next round goes on
    later_(pause_, [this, next = *prune.next] { next_step(next); });
  });
}

void Retention::step(const Keep& keep, DeliveryKey after,
                     std::function<void(const Prune&, const std::optional<Problem>&)> done) {
  const Time now = clock_.wall();
  Prune prune;
  prune.delivered_before = now - std::max(keep.delivered, keep.at_least);
  prune.dead_before = now - std::max(keep.dead, keep.at_least);
  prune.at = now;
  prune.limit = kRows;
  prune.after = after;
  commits_.submit(prune, [this, done = std::move(done)](Write& write) {
    const auto& result = std::get<Prune>(write.command);
    if (!write.refused) {
      const Pruned& pruned = result.pruned;
      metrics_.pruned("event", pruned.events);
      metrics_.pruned("delivery", pruned.deliveries);
      metrics_.pruned("attempt", pruned.attempts);
      metrics_.pruned("idempotency", pruned.idempotency_keys);
      metrics_.pruned("outbox", pruned.outbox_rows);
      metrics_.pruned("endpoint", pruned.endpoints);
    }
    done(result, write.refused);
  });
}

}  // namespace outboxd
