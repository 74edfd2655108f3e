#include "delivery/scheduler.h"

#include <algorithm>
#include <cassert>

namespace outboxd {
namespace {

WindowOrder order_of(const DueDelivery& d) {
  return {d.event->priority, d.due_at, d.key.event};
}

}  // namespace

Scheduler::Scheduler(Options options) : options_(std::move(options)), random_(options_.seed) {}

Lane* Scheduler::find(EndpointSeq endpoint) {
  const auto it = lanes_.find(endpoint);
  return it == lanes_.end() ? nullptr : it->second.get();
}

int Scheduler::limit_of(const Lane& lane) const {
  const int configured = lane.endpoint->max_in_flight.value_or(options_.max_in_flight_per_endpoint);
  return std::min(configured, static_cast<int>(lane.allowance));
}

bool Scheduler::may_send(const Lane& lane, Time now) const {
  return lane.active && !draining_ && !lane.window.empty() && now >= lane.hold_until &&
         lane.sending < limit_of(lane);
}

bool Scheduler::has_room() const {
  return held_ < options_.max_held && held_bytes_ < options_.max_held_bytes;
}

void Scheduler::touch(Lane& lane) {
  if (lane.dirty) return;
  lane.dirty = true;
  dirty_.push_back(lane.endpoint->seq);
}

void Scheduler::put_endpoint(const EndpointPtr& endpoint) {
  auto& slot = lanes_[endpoint->seq];
  if (!slot) slot = std::make_unique<Lane>();
  Lane& lane = *slot;
  lane.endpoint = endpoint;
  const bool active = endpoint->state == EndpointState::kActive;
  if (active != lane.active) {
    lane.active = active;
    // Back in service: what made it slow may be over, and disk knows what has gathered.
    lane.hold_until = kAtOnce;
    lane.slowdowns = 0;
    if (!active) drop_window(lane);
  }
  touch(lane);
}

void Scheduler::remove_endpoint(EndpointSeq endpoint) {
  Lane* lane = find(endpoint);
  if (lane == nullptr) return;
  lane->removed = true;
  lane->active = false;
  drop_window(*lane);
  touch(*lane);
}

void Scheduler::drop_window(Lane& lane) {
  for (const WindowOrder& entry : lane.window) {
    const auto it = lane.held.find(entry.event);
    held_bytes_ -= it->second.delivery.event->payload.size();
    --held_;
    lane.held.erase(it);
  }
  lane.window.clear();
  lane.arrivals.clear();
  lane.disk_due = kAtOnce;
  lane.missed_due = kAtOnce;
}

bool Scheduler::hold(Lane& lane, DueDelivery delivery, Time now) {
  const EventSeq event = delivery.key.event;
  if (lane.held.contains(event) || lane.released.contains(event)) return true;
  if (!lane.active || delivery.due_at > now || static_cast<int>(lane.window.size()) >= options_.window)
    return false;
  if (!has_room() && !lane.held.empty())
    return false;  // a lane with nothing in memory may always take one: it must not starve
  ++held_;
  held_bytes_ += delivery.event->payload.size();
  lane.window.insert(order_of(delivery));
  lane.held.emplace(event, Held{std::move(delivery)});
  return true;
}

void Scheduler::release(Lane& lane, EventSeq event) {
  const auto it = lane.held.find(event);
  assert(it != lane.held.end());
  const Time due_again = it->second.due_again;
  held_bytes_ -= it->second.delivery.event->payload.size();
  --held_;
  lane.held.erase(it);
  if (lane.fetching) lane.released.insert(event);
  if (due_again != kNever) leave_on_disk(lane, due_again);
  touch(lane);
}

void Scheduler::leave_on_disk(Lane& lane, Time due) {
  Time& known = lane.fetching ? lane.missed_due : lane.disk_due;
  known = std::min(known, due);
}

void Scheduler::offer(DueDelivery delivery, Time now) {
  Lane* lane = find(delivery.key.endpoint);
  if (lane == nullptr) return;  // removed meanwhile: the store discards what is left of it
  touch(*lane);
  const Time due = delivery.due_at;
  if (lane->fetching && due <= now && lane->arrivals.size() < static_cast<std::size_t>(options_.window) &&
      has_room()) {
    lane->arrivals.push_back(std::move(delivery));
    return;
  }
  // Only a lane that has caught up takes it directly: else it would overtake what waits on disk.
  const bool caught_up = !lane->fetching && lane->disk_due > now;
  if (!caught_up || !hold(*lane, std::move(delivery), now)) leave_on_disk(*lane, due);
}

void Scheduler::wake(EndpointSeq endpoint, Time due) {
  Lane* lane = find(endpoint);
  if (lane == nullptr) return;
  leave_on_disk(*lane, due);
  touch(*lane);
}

void Scheduler::withdraw(DeliveryKey key) {
  Lane* lane = find(key.endpoint);
  if (lane == nullptr) return;
  if (lane->fetching) lane->released.insert(key.event);
  std::erase_if(lane->arrivals, [&](const DueDelivery& d) { return d.key == key; });
  const auto it = lane->held.find(key.event);
  if (it == lane->held.end() || it->second.stage != Stage::kWaiting) return;
  lane->window.erase(order_of(it->second.delivery));
  release(*lane, key.event);
}

void Scheduler::fetched(EndpointSeq endpoint, DueWindow found, Time now) {
  --fetching_;
  Lane* lane = find(endpoint);
  if (lane == nullptr) return;
  touch(*lane);
  lane->fetching = false;
  Time next_due = std::min(found.next_due.value_or(kNever), lane->missed_due);
  const bool complete = found.next_due.value_or(kNever) > now;
  for (auto& delivery : found.deliveries) {
    const Time due = delivery.due_at;
    if (!hold(*lane, std::move(delivery), now)) next_due = std::min(next_due, due);
  }
  for (auto& delivery : lane->arrivals) {
    const Time due = delivery.due_at;
    if (!complete || !hold(*lane, std::move(delivery), now)) next_due = std::min(next_due, due);
  }
  lane->disk_due = next_due;
  lane->missed_due = kNever;
  lane->arrivals.clear();
  lane->released.clear();
}

void Scheduler::learn(Lane& lane, const AttemptReport& report, const Verdict& verdict) const {
  if (report.outcome == Outcome::kSuccess) {
    const int configured = lane.endpoint->max_in_flight.value_or(options_.max_in_flight_per_endpoint);
    lane.allowance = std::min(lane.allowance + 1, static_cast<double>(configured));
    lane.failures = 0;
    lane.slowdowns = 0;
    lane.last_error.clear();
    return;
  }
  ++lane.failures;
  lane.last_error = report.error.empty() ? std::string(to_string(report.outcome)) : report.error;
  // A 4xx is about this one event; everything else says that the endpoint has trouble.
  if (report.outcome != Outcome::kHttp4xx || report.status == 429)
    lane.allowance = std::max(1.0, lane.allowance / 2);
  if (verdict.hold_lane) {
    ++lane.slowdowns;
    lane.hold_until = std::max(lane.hold_until, *verdict.hold_lane);
  }
}

Scheduler::Ended Scheduler::attempt_ended(DeliveryKey key, const AttemptReport& report, Time now) {
  Lane& lane = *lanes_.at(key.endpoint);
  Held& held = lane.held.at(key.event);
  assert(held.stage == Stage::kSending);
  held.stage = Stage::kRecording;
  --lane.sending;
  --sending_;

  const auto& schedule =
      lane.endpoint->retry_schedule ? *lane.endpoint->retry_schedule : options_.retry_schedule;
  const AttemptFacts facts{report.outcome, report.status, report.retry_after, held.delivery.attempts + 1,
                           held.delivery.event->expires_at};
  const double jitter = std::uniform_real_distribution<>(-1, 1)(random_);
  const Verdict verdict = judge(facts, schedule, now, jitter, lane.slowdowns);
  learn(lane, report, verdict);
  if (verdict.state == DeliveryState::kPending) held.due_again = verdict.due_at;
  if (verdict.disable_endpoint && lane.active) {
    lane.active = false;  // at once; the stored state follows by way of put_endpoint()
    drop_window(lane);
  }
  touch(lane);
  return {.record = {.key = key,
                     .attempt = {},
                     .state = verdict.state,
                     .reason = verdict.reason,
                     .due_at = verdict.due_at,
                     .at = now},
          .disable_endpoint = verdict.disable_endpoint};
}

void Scheduler::recorded(DeliveryKey key) {
  if (Lane* lane = find(key.endpoint)) release(*lane, key.event);
}

void Scheduler::abandoned(DeliveryKey key) {
  Lane& lane = *lanes_.at(key.endpoint);
  Held& held = lane.held.at(key.event);
  held.due_again = held.delivery.due_at;
  --lane.sending;
  --sending_;
  release(lane, key.event);
}

void Scheduler::set_wake(Lane& lane, std::optional<Time> when) {
  if (lane.wake_at == when) return;
  if (lane.wake_at) wakeups_.erase({*lane.wake_at, lane.endpoint->seq});
  lane.wake_at = when;
  if (when) wakeups_.insert({*when, lane.endpoint->seq});
}

void Scheduler::consider(Lane& lane, Time now) {
  lane.dirty = false;
  if (!lane.active || draining_) {
    set_wake(lane, std::nullopt);
    if (lane.removed && lane.held.empty() && !lane.fetching) lanes_.erase(lane.endpoint->seq);
    return;
  }
  if (may_send(lane, now) && !lane.queued_to_send) {
    lane.queued_to_send = true;
    to_send_.push_back(lane.endpoint->seq);
  }
  std::optional<Time> wake;
  if (lane.disk_due > now) {
    if (lane.disk_due != kNever) wake = lane.disk_due;
  } else if (now >= lane.hold_until && !lane.fetching && !lane.queued_to_fetch &&
             static_cast<int>(lane.window.size()) <= options_.window / 2) {
    lane.queued_to_fetch = true;
    to_fetch_.push_back(lane.endpoint->seq);
  }
  if (now < lane.hold_until && (!lane.window.empty() || lane.disk_due <= now)) wake = lane.hold_until;
  set_wake(lane, wake);
}

void Scheduler::send_one(Lane& lane, Time now, Decisions& decisions) {
  const EventSeq event = lane.window.begin()->event;
  lane.window.erase(lane.window.begin());
  Held& held = lane.held.at(event);
  if (held.delivery.event->expires_at && *held.delivery.event->expires_at <= now) {
    held.stage = Stage::kRecording;
    decisions.record.push_back({.key = held.delivery.key,
                                .attempt = {},
                                .state = DeliveryState::kDead,
                                .reason = DeadReason::kExpired,
                                .due_at = {},
                                .at = now});
    return;
  }
  held.stage = Stage::kSending;
  ++lane.sending;
  ++sending_;
  decisions.send.push_back({lane.endpoint, held.delivery});
}

void Scheduler::send_some(Time now, Decisions& decisions) {
  while (!to_send_.empty() && sending_ < options_.max_in_flight) {
    Lane* lane = find(to_send_.front());
    to_send_.pop_front();
    if (lane == nullptr) continue;
    lane->queued_to_send = false;
    if (may_send(*lane, now)) send_one(*lane, now, decisions);
    consider(*lane, now);
  }
}

void Scheduler::fetch_some(Time now, Decisions& decisions) {
  while (!to_fetch_.empty() && fetching_ < options_.max_fetches && !draining_) {
    Lane* lane = find(to_fetch_.front());
    to_fetch_.pop_front();
    if (lane == nullptr) continue;
    lane->queued_to_fetch = false;
    if (!lane->active || lane->fetching || lane->disk_due > now) continue;
    // Without room a lane gets one delivery if it has none; else it comes back here when one of its own is
    // released.
    const int room = std::max(0, options_.max_held - held_);
    int wanted = has_room() ? std::min(options_.window - static_cast<int>(lane->window.size()), room) : 0;
    if (wanted == 0 && lane->held.empty()) wanted = 1;
    if (wanted == 0) continue;
    lane->fetching = true;
    lane->missed_due = kNever;
    ++fetching_;
    // What is held is still pending on disk and comes along: ask for that much more.
    decisions.fetch.push_back(
        {lane->endpoint->seq, wanted + static_cast<int>(lane->held.size()), options_.max_fetch_bytes});
  }
}

Decisions Scheduler::next(Time now) {
  Decisions decisions;
  while (!wakeups_.empty() && wakeups_.begin()->first <= now) {
    Lane* lane = find(wakeups_.begin()->second);
    set_wake(*lane, std::nullopt);
    consider(*lane, now);
  }
  std::vector<EndpointSeq> dirty;
  dirty.swap(dirty_);
  for (const EndpointSeq endpoint : dirty) {
    if (Lane* lane = find(endpoint)) consider(*lane, now);
  }
  send_some(now, decisions);
  fetch_some(now, decisions);
  if (!wakeups_.empty()) decisions.wake_at = wakeups_.begin()->first;
  return decisions;
}

std::vector<LaneStatus> Scheduler::lanes() const {
  std::vector<LaneStatus> lanes;
  for (const auto& [seq, lane] : lanes_) {
    if (lane->removed || (lane->failures == 0 && lane->held.empty())) continue;
    Time oldest = kNever;
    for (const auto& [event, held] : lane->held) oldest = std::min(oldest, held.delivery.due_at);
    lanes.push_back({lane->endpoint, lane->sending, lane->failures, lane->last_error, oldest});
  }
  return lanes;
}

}  // namespace outboxd
