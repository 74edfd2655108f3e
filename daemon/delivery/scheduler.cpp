#include "delivery/scheduler.h"

#include <algorithm>
#include <cassert>

namespace outboxd {
namespace {

// Waits are cut to this, because a wait of centuries would not fit the clock's nanoseconds; whoever asks too early is
// told again.
constexpr Millis kMaxWait = std::chrono::hours(24);
constexpr Millis kPauseOfSearch{10};  // pause after a page without a delivery that is ours to expire

WindowOrder order_of(const DueDelivery& d) {
  return {d.event->priority, d.due_at, d.key.event};
}

// What its event takes in memory, as far as that varies much.
std::size_t bytes_of(const DueDelivery& d) {
  return d.event->payload.size() + (d.event->cloud_event ? d.event->cloud_event->size() : 0);
}

MonotonicTime in(Millis wait, Moment now) {
  return wait <= Millis(0) ? kAtOnce : now.mono + std::min(wait, kMaxWait);
}

}  // namespace

Scheduler::Scheduler(Options options) : options_(std::move(options)), random_(options_.seed) {}

Lane* Scheduler::find(EndpointSeq endpoint) {
  const auto it = lanes_.find(endpoint);
  return it == lanes_.end() ? nullptr : it->second.get();
}

int Scheduler::max_in_flight_of(const Lane& lane) const {
  return lane.endpoint->max_in_flight.value_or(options_.max_in_flight_per_endpoint);
}

const std::vector<Millis>& Scheduler::schedule_of(const Lane& lane) const {
  return lane.endpoint->retry_schedule ? *lane.endpoint->retry_schedule : options_.retry_schedule;
}

void Scheduler::hear(const EndpointChanged& fact, Moment now) {
  fact.now ? put_endpoint(fact.now, now) : drop_endpoint(fact.endpoint);
}

void Scheduler::put_endpoint(const EndpointPtr& endpoint, Moment now) {
  auto& slot = lanes_[endpoint->seq];
  const bool is_new = !slot;
  if (is_new) slot = std::make_unique<Lane>();
  Lane& lane = *slot;
  if (!is_new && !lane.leaving && endpoint->updated_at < lane.endpoint->updated_at) return;
  const bool moved = !is_new && !same_receiver(*lane.endpoint, *endpoint);
  lane.endpoint = endpoint;
  lane.leaving = false;
  if (is_new && endpoint->failing_since) lane.health = EndpointHealth(*endpoint->failing_since, now);
  const bool active = endpoint->state == EndpointState::kActive;
  // Back in service: the cause of its failures may be gone, and the disk knows what has gathered.
  if (moved || (active && !lane.active)) {
    begin_anew(lane, moved);
  } else if (!is_new && active == lane.active) {
    lane.health.try_now(now.mono);
  }
  if (lane.active && !active) drop_waiting(lane);
  lane.active = active;
  classify(lane);
  if (!endpoint->rate_limit) {
    lane.rate.reset();
  } else if (!lane.rate || lane.rate->limit() != *endpoint->rate_limit) {
    lane.rate.emplace(*endpoint->rate_limit);
  }
  touch(lane);
}

void Scheduler::drop_endpoint(EndpointSeq endpoint) {
  Lane* lane = find(endpoint);
  if (lane == nullptr) return;
  lane->leaving = true;
  lane->active = false;
  drop_waiting(*lane);
  touch(*lane);
}

// Requests under way were sent before and say nothing about what is to come: their outcomes do not count as probes, nor
// at all if they went to another receiver.
void Scheduler::begin_anew(Lane& lane, bool other_receiver) {
  lane.health.begin_anew();
  lane.last_failure.reset();
  lane.refused = false;
  for (auto& [event, held] : lane.held) {
    held.probe = false;
    held.to_former_receiver |= other_receiver && held.stage == Stage::kSending;
  }
}

void Scheduler::try_now(EndpointSeq endpoint, Moment now) {
  Lane* lane = find(endpoint);
  if (lane == nullptr) return;
  lane->health.try_now(now.mono);
  touch(*lane);
}

void Scheduler::policy_changed(Moment now) {
  for (auto& [seq, lane] : lanes_) {
    if (lane->refused) try_now(seq, now);
  }
}

// A lane's requests under way are counted under its current service class.
void Scheduler::classify(Lane& lane) {
  ServiceClass service_class = lane.health.service_class();
  if (service_class == ServiceClass::kPrompt && lane.overdue > 0) service_class = ServiceClass::kUnproven;
  if (service_class == lane.service_class) return;
  count(lane.service_class) -= lane.sending;
  lane.service_class = service_class;
  count(lane.service_class) += lane.sending;
  const EndpointSeq seq = lane.endpoint->seq;
  if (lane.to_send) to_send_.push(seq, lane.to_send, service_class);
  if (lane.to_fetch) to_fetch_.push(seq, lane.to_fetch, service_class);
}

bool Scheduler::is_known(const Lane& lane, EventSeq event) const {
  return lane.held.contains(event) || (lane.fetch && lane.fetch->released.contains(event));
}

bool Scheduler::fits(const Lane& lane) const {
  return has_room(lane.service_class) && static_cast<int>(lane.window.size()) < window_of(lane);
}

bool Scheduler::admit(Lane& lane, DueDelivery delivery) {
  const EventSeq event = delivery.key.event;
  if (is_known(lane, event)) return true;
  if (!lane.active || delivery.due_in > Millis(0)) return false;
  ++held_;
  held_bytes_ += bytes_of(delivery);
  lane.window.insert(order_of(delivery));
  lane.held.emplace(event, Held{std::move(delivery)});
  return true;
}

void Scheduler::erase_held(Lane& lane, EventSeq event) {
  const auto it = lane.held.find(event);
  assert(it != lane.held.end());
  held_bytes_ -= bytes_of(it->second.delivery);
  --held_;
  if (it->second.expiring) --search_.recording;
  lane.held.erase(it);
}

void Scheduler::release(Lane& lane, EventSeq event) {
  const Held& held = lane.held.at(event);
  if (held.has_turn) {
    // Its turn is over: deliveries that waited for it return to the window.
    if (const auto busy = lane.order->waiting_for.extract(*held.delivery.sequence_key)) {
      for (const EventSeq waiting : busy.mapped())
        lane.window.insert(order_of(lane.held.at(waiting).delivery));
    }
  }
  erase_held(lane, event);
  if (lane.fetch) lane.fetch->released.insert(event);
  if (search_.reading) search_.released.insert({event, lane.endpoint->seq});
  touch(lane);
}

void Scheduler::take_from_window(Lane& lane, const Held& held) {
  lane.window.erase(order_of(held.delivery));
  if (!lane.order || !held.delivery.sequence_key) return;
  const auto busy = lane.order->waiting_for.find(*held.delivery.sequence_key);
  if (busy != lane.order->waiting_for.end()) busy->second.erase(held.delivery.key.event);
}

void Scheduler::drop_waiting(Lane& lane) {
  std::vector<EventSeq> waiting;
  for (const auto& [event, held] : lane.held) {
    if (held.stage == Stage::kWaiting) waiting.push_back(event);
  }
  for (const EventSeq event : waiting) {
    take_from_window(lane, lane.held.at(event));
    erase_held(lane, event);
  }
  if (lane.fetch) lane.fetch->arrivals.clear();
  leave_on_disk(lane, kAtOnce);
}

void Scheduler::leave_on_disk(Lane& lane, MonotonicTime due) {
  auto* const fetch = lane.fetch ? &*lane.fetch : nullptr;
  MonotonicTime& known = fetch != nullptr ? fetch->missed_due : lane.disk_due;
  known = std::min(known, due);
}

void Scheduler::hear(DeliveryReady fact, Moment now) {
  DueDelivery& delivery = fact.delivery;
  Lane* lane = find(delivery.key.endpoint);
  if (lane == nullptr) return;  // removed meanwhile: the store discards what is left of it
  touch(*lane);
  const MonotonicTime due = in(delivery.due_in, now);
  if (lane->fetch && fits(*lane) && due == kAtOnce &&
      static_cast<int>(lane->fetch->arrivals.size()) < window_of(*lane)) {
    lane->fetch->arrivals.push_back(std::move(delivery));
    return;
  }
  // Only a lane that has caught up takes a fresh delivery directly: otherwise it would overtake those waiting on disk.
  const bool caught_up = !lane->fetch && lane->disk_due > now.mono;
  if (!caught_up || !fits(*lane) || !admit(*lane, std::move(delivery))) leave_on_disk(*lane, due);
}

void Scheduler::hear(const DueOnDisk& fact, Moment now) {
  Lane* lane = find(fact.endpoint);
  if (lane == nullptr) return;
  if (fact.by_operator) lane->health.try_now(now.mono);
  leave_on_disk(*lane, in(fact.due_in, now));
  touch(*lane);
}

void Scheduler::hear(const DueTimesMoved&) {
  for (auto& [seq, lane] : lanes_) {
    leave_on_disk(*lane, kAtOnce);
    touch(*lane);
  }
}

void Scheduler::hear(const DeliveryWithdrawn& fact) {
  const DeliveryKey key = fact.key;
  Lane* lane = find(key.endpoint);
  if (lane == nullptr) return;
  if (search_.reading) search_.released.insert(key);
  if (lane->fetch) {
    lane->fetch->released.insert(key.event);
    std::erase_if(lane->fetch->arrivals, [&](const DueDelivery& d) { return d.key == key; });
  }
  const auto it = lane->held.find(key.event);
  if (it == lane->held.end() || it->second.stage != Stage::kWaiting) return;
  take_from_window(*lane, it->second);
  erase_held(*lane, key.event);
  touch(*lane);
}

void Scheduler::fetched(EndpointSeq endpoint, DueWindow found, Moment now) {
  --fetching_;
  Lane* lane = find(endpoint);
  if (lane == nullptr) return;
  touch(*lane);
  const MonotonicTime on_disk = found.next_due_in ? in(*found.next_due_in, now) : kNever;
  MonotonicTime next_due = std::min(on_disk, lane->fetch->missed_due);
  // Admit all of them, even beyond the window: the lowest priorities come last and must not be the ones that never fit.
  for (auto& delivery : found.deliveries) {
    if (!admit(*lane, std::move(delivery))) next_due = kAtOnce;
  }
  for (auto& delivery : lane->fetch->arrivals) {
    if (on_disk == kAtOnce || !fits(*lane) || !admit(*lane, std::move(delivery))) next_due = kAtOnce;
  }
  lane->disk_due = next_due;
  lane->fetch.reset();
}

// A delivery under way is left to its outcome: that may yet be a success, and a failure is checked against its expiry.
void Scheduler::expired(std::vector<DueDelivery> found, Moment now) {
  search_.reading = false;
  const bool more = static_cast<int>(found.size()) >= options_.max_expired;
  search_.after = more ? ExpiryPlace{*found.back().expires_at, found.back().key} : ExpiryPlace{};
  for (DueDelivery& delivery : found) {
    const DeliveryKey key = delivery.key;
    Lane* lane = find(key.endpoint);
    if (lane == nullptr || lane->leaving || search_.released.contains(key)) continue;
    auto record = outcome_without_attempt(delivery, now.wall);
    if (!record || record->reason != DeadReason::kExpired) continue;  // the clock was set back
    const auto [it, is_new] = lane->held.try_emplace(key.event, Held{std::move(delivery)});
    Held& held = it->second;
    if (is_new) {
      ++held_;
      held_bytes_ += bytes_of(held.delivery);
    } else {
      if (held.stage != Stage::kWaiting) continue;
      take_from_window(*lane, held);
    }
    held.stage = Stage::kRecording;
    held.expiring = true;
    ++search_.recording;
    search_.unsent.push_back({lane->endpoint, held.delivery, std::move(*record)});
    touch(*lane);
  }
  search_.released.clear();
  search_.next_at = now.mono;
  if (search_.recording == 0) search_.next_at += more ? kPauseOfSearch : kExpiryInterval;
}

void Scheduler::no_longer_sending(Lane& lane, Held& held) {
  --lane.sending;
  --sending_;
  --count(lane.service_class);
  if (held.overdue) --lane.overdue;
}

Scheduler::Ended Scheduler::attempt_ended(DeliveryKey key, const AttemptReport& report, Moment now) {
  Lane& lane = *lanes_.at(key.endpoint);
  Held& held = lane.held.at(key.event);
  assert(held.stage == Stage::kSending);
  held.stage = Stage::kRecording;
  no_longer_sending(lane, held);

  const auto& schedule = schedule_of(lane);
  // An endpoint that is removed, or now another daemon's, has no receiver here any more.
  const bool former = held.to_former_receiver || lane.leaving;
  const AttemptFacts facts{.outcome = report.outcome,
                           .status = report.status,
                           .retry_after = report.retry_after,
                           .attempts_made = held.delivery.attempts + 1,
                           .expires_at = held.delivery.expires_at,
                           .skip_on_failure = held.delivery.sequence_key &&
                                              lane.endpoint->on_failure_in_order == OnFailureInOrder::kSkip,
                           .by_former_receiver = former};
  std::uniform_real_distribution<> jitter(-1, 1);
  const Verdict verdict = evaluate_attempt(facts, schedule, now.wall, jitter(random_));
  EndpointHealth::Change change;
  if (!former) change = learn(lane, held, report, verdict, now);
  Ended ended{.record = {.key = key,
                         .attempt = {},
                         .subject = {},
                         .due_in = verdict.due_in,
                         .at = now.wall,
                         .state = verdict.state,
                         .reason = verdict.reason},
              .failing_since = change.failing_since,
              .disable = {},
              .recovered = change.recovered,
              .slowed_for = change.slowed_for};
  if (lane.active && (verdict.gone || change.disable)) {
    ended.disable = verdict.gone ? "gone" : "failing";
    lane.active = false;  // until put_endpoint() brings what was committed, whatever that is
  }
  classify(lane);
  if (!lane.active) drop_waiting(lane);
  touch(lane);
  return ended;
}

EndpointHealth::Change Scheduler::learn(Lane& lane, const Held& held, const AttemptReport& report,
                                        const Verdict& verdict, Moment now) {
  std::uniform_real_distribution<> jitter(-1, 1);
  if (report.outcome != Outcome::kSuccess) {
    lane.last_failure = {
        .error = report.error.empty() ? std::string(to_string(report.outcome)) : report.error,
        .status = report.status,
        .at = now.wall};
  }
  lane.refused = report.outcome == Outcome::kBlocked;
  return lane.health.ended({.outcome = report.outcome,
                            .status = report.status,
                            .took = report.took,
                            .sent_at = held.sent_at,
                            .probe = held.probe,
                            .slow_down = verdict.slow_down,
                            .asked = verdict.asked_pause,
                            .longest_pause = *std::ranges::max_element(schedule_of(lane)),
                            .disable_after = lane.endpoint->disable_after,
                            .jitter = jitter(random_)},
                           max_in_flight_of(lane), now);
}

// Hears also outcomes by others: an operator, another daemon.
void Scheduler::hear(const OutcomeRecorded& fact, Moment now) {
  Lane* lane = find(fact.key.endpoint);
  if (lane == nullptr) return;
  const auto held = lane->held.find(fact.key.event);
  if (held != lane->held.end() && held->second.stage == Stage::kRecording) release(*lane, fact.key.event);
  if (fact.due_in) leave_on_disk(*lane, in(*fact.due_in, now));
  if (fact.promoted) leave_on_disk(*lane, kAtOnce);
  touch(*lane);
}

void Scheduler::abandoned(DeliveryKey key) {
  Lane& lane = *lanes_.at(key.endpoint);
  Held& held = lane.held.at(key.event);
  no_longer_sending(lane, held);
  lane.health.abandoned(held.probe);
  classify(lane);
  release(lane, key.event);
  leave_on_disk(lane, kAtOnce);
}

}  // namespace outboxd
