// Whose turn it is: what may be sent, fetched and searched for now.
#include <algorithm>
#include <cassert>

#include "delivery/scheduler.h"

namespace outboxd {
namespace {

constexpr unsigned kLowerEvery = 8;  // turns of a lane: then a lower priority goes, so that none starves
constexpr int kMinWindow = 4;
constexpr Millis kMaxIdleInMemory{500};

// The part of `all` that a service class and those below it may use together.
template <class T>
T share_of(T all, ServiceClass service_class) {
  return std::max<T>(1,
                     all / 4 * static_cast<T>(kQuarters[static_cast<std::size_t>(service_class)]) + all % 4);
}

}  // namespace

int Scheduler::window_of(const Lane& lane) const {
  if (lane.rate) return std::min(options_.window, std::max(kMinWindow, 2 * lane.rate->burst()));
  if (lane.service_class == ServiceClass::kPrompt) return options_.window;
  const int limit = lane.health.is_open() ? 1 : lane.health.limit(max_in_flight_of(lane));
  return std::min(options_.window, std::max(kMinWindow, 2 * limit));
}

bool Scheduler::may_send(const Lane& lane, Moment now) const {
  return lane.active && !draining_ && !lane.window.empty() && now.mono >= lane.opens_at() &&
         lane.health.may_start(lane.sending, max_in_flight_of(lane), now.mono);
}

bool Scheduler::has_room(ServiceClass service_class) const {
  return held_ - sending_ < share_of(options_.max_held, service_class) &&
         held_bytes_ < share_of(options_.max_held_bytes, service_class);
}

std::optional<ServiceClass> Scheduler::worst_with_room() const {
  for (const ServiceClass service_class :
       {ServiceClass::kFailing, ServiceClass::kUnproven, ServiceClass::kPrompt}) {
    if (has_room(service_class)) return service_class;
  }
  return std::nullopt;
}

// The worst class that may still send: neither its own share nor that of any better class may be used up.
std::optional<ServiceClass> Scheduler::worst_with_slots() const {
  std::optional<ServiceClass> worst;
  int sending = sending_;
  for (const ServiceClass service_class :
       {ServiceClass::kPrompt, ServiceClass::kUnproven, ServiceClass::kFailing}) {
    if (sending >= share_of(options_.max_in_flight, service_class)) break;
    worst = service_class;
    sending -= sending_of_[static_cast<std::size_t>(service_class)];
  }
  return worst;
}

// Finds requests that take too long, so that a lane whose requests hang stops being prompt long before they time out.
void Scheduler::find_overdue(MonotonicTime now) {
  while (!sent_.empty() && sent_.front().at + kSlow <= now) {
    const Sent sent = sent_.front();
    sent_.pop_front();
    Lane* lane = find(sent.key.endpoint);
    if (lane == nullptr) continue;
    const auto it = lane->held.find(sent.key.event);
    if (it == lane->held.end() || it->second.stage != Stage::kSending || it->second.sent_at != sent.at)
      continue;
    it->second.overdue = true;
    ++lane->overdue;
    classify(*lane);
  }
}

void Scheduler::touch(Lane& lane) {
  if (lane.dirty) return;
  lane.dirty = true;
  dirty_.push_back(lane.endpoint->seq);
}

void Scheduler::set_wake(Lane& lane, std::optional<MonotonicTime> when) {
  const EndpointSeq seq = lane.endpoint->seq;
  if (lane.wake_at == when) return;
  if (lane.wake_at) wakes_.erase({*lane.wake_at, seq});
  lane.wake_at = when;
  if (when) wakes_.insert({*when, seq});
}

void Scheduler::consider(Lane& lane, Moment now) {
  lane.dirty = false;
  if (!lane.active || draining_) {
    set_wake(lane, std::nullopt);
    if (lane.leaving && lane.held.empty() && !lane.fetch) lanes_.erase(lane.endpoint->seq);
    return;
  }
  // Deliveries that cannot be sent for a while are left on disk: memory is for those that can.
  if (!lane.window.empty() && lane.opens_at() > now.mono + kMaxIdleInMemory) drop_waiting(lane);
  if (may_send(lane, now)) to_send_.push(lane.endpoint->seq, lane.to_send, lane.service_class);
  const bool disk_is_due = lane.disk_due <= now.mono;
  if (disk_is_due && now.mono >= lane.opens_at() && !lane.fetch &&
      static_cast<int>(lane.window.size()) <= window_of(lane) / 2) {
    to_fetch_.push(lane.endpoint->seq, lane.to_fetch, lane.service_class);
  }
  std::optional<MonotonicTime> wake;
  if (now.mono < lane.opens_at() && (!lane.window.empty() || disk_is_due)) wake = lane.opens_at();
  if (!disk_is_due && lane.disk_due != kNever) wake = std::min(wake.value_or(kNever), lane.disk_due);
  set_wake(lane, wake);
}

void Scheduler::run_wakes(MonotonicTime now) {
  for (auto it = wakes_.begin(); it != wakes_.end() && it->first <= now; ++it) touch(*find(it->second));
}

// ---- decisions

// By priority, but every kLowerEvery-th turn goes to one of the lower priorities, in rotation.
WindowOrder Scheduler::pick(Lane& lane) {
  const WindowOrder first = *lane.window.begin();
  if (first.priority == lane.window.rbegin()->priority || ++lane.turns % kLowerEvery != 0) return first;
  std::vector<WindowOrder> lower;  // the first delivery of each lower priority
  for (const WindowOrder& entry : lane.window) {
    const int last = lower.empty() ? first.priority : lower.back().priority;
    if (entry.priority < last) lower.push_back(entry);
  }
  return lower[lane.turns / kLowerEvery % lower.size()];
}

// True: another delivery with its sequence key is under way, and this one waits for it, outside the window.
bool Scheduler::wait_in_order(Lane& lane, Held& held) {
  if (!held.delivery.sequence_key) return false;
  if (!lane.order) lane.order = std::make_unique<Lane::Order>();
  const auto [busy, is_first] = lane.order->waiting_for.try_emplace(*held.delivery.sequence_key);
  if (!is_first) busy->second.insert(held.delivery.key.event);
  held.has_turn = is_first;
  return !is_first;
}

// True: those of its key that a former owner sent may still arrive, so it goes back to disk for as long.
bool Scheduler::leave_for_later(Lane& lane, const Held& held, MonotonicTime now) {
  const EndpointSeq endpoint = lane.endpoint->seq;
  const MonotonicTime from = ordered_from_[static_cast<std::size_t>(partition_of(endpoint))];
  if (!held.delivery.sequence_key || from <= now) return false;
  erase_held(lane, held.delivery.key.event);
  leave_on_disk(lane, from);
  return true;
}

void Scheduler::send_one(Lane& lane, Moment now, Decisions& decisions) {
  const WindowOrder chosen = pick(lane);
  lane.window.erase(chosen);
  Held& held = lane.held.at(chosen.event);
  if (leave_for_later(lane, held, now.mono) || wait_in_order(lane, held)) return;
  if (auto record = outcome_without_attempt(held.delivery, now.wall)) {
    held.stage = Stage::kRecording;
    decisions.unsent.push_back({lane.endpoint, held.delivery, std::move(*record)});
    return;
  }
  held.stage = Stage::kSending;
  held.sent_at = now.mono;
  held.probe = lane.health.started();
  if (lane.rate) lane.rate->take(now.mono);
  ++lane.sending;
  ++sending_;
  ++count(lane.service_class);
  sent_.push_back({now.mono, held.delivery.key});
  decisions.send.push_back({lane.endpoint, held.delivery});
}

void Scheduler::send_some(Moment now, Decisions& decisions) {
  while (const auto worst = worst_with_slots()) {
    if (decisions.send.size() + decisions.unsent.size() >= options_.max_sends) {
      decisions.wake_at = now.mono;  // for the rest
      return;
    }
    const auto entry = to_send_.pop(*worst);
    if (!entry) return;
    Lane* lane = find(entry->lane);
    if (lane == nullptr || lane->to_send != entry->from) continue;
    lane->to_send.reset();
    if (may_send(*lane, now)) send_one(*lane, now, decisions);
    consider(*lane, now);
  }
}

void Scheduler::fetch_one(Lane& lane, MonotonicTime now, Decisions& decisions) {
  const int wanted = window_of(lane) - static_cast<int>(lane.window.size());
  if (!lane.active || lane.fetch || lane.disk_due > now || wanted <= 0) return;
  lane.fetch = std::make_unique<Lane::Fetch>();
  ++fetching_;
  Decisions::Fetch fetch{lane.endpoint->seq, wanted, options_.max_fetch_bytes, {}};
  fetch.held.reserve(lane.held.size());
  for (const auto& [event, held] : lane.held) fetch.held.push_back(event);
  std::ranges::sort(fetch.held);
  decisions.fetch.push_back(std::move(fetch));
}

// Lanes without room stay in the queue until there is room. What a fetch brings is then taken in any case, so memory
// may exceed its limits by what max_fetches of them bring.
void Scheduler::fetch_some(Moment now, Decisions& decisions) {
  while (fetching_ < options_.max_fetches && !draining_) {
    const auto worst = worst_with_room();
    const auto entry = worst ? to_fetch_.pop(*worst) : std::nullopt;
    if (!entry) return;
    Lane* lane = find(entry->lane);
    if (lane == nullptr || lane->to_fetch != entry->from) continue;
    lane->to_fetch.reset();
    fetch_one(*lane, now.mono, decisions);
  }
}

void Scheduler::search_expired(MonotonicTime now, Decisions& decisions) {
  std::ranges::move(search_.unsent, std::back_inserter(decisions.unsent));
  search_.unsent.clear();
  if (draining_ || lanes_.empty() || search_.reading || search_.recording > 0) return;
  if (now < search_.next_at) {
    decisions.wake_at = std::min(decisions.wake_at.value_or(search_.next_at), search_.next_at);
    return;
  }
  search_.reading = true;
  decisions.find_expired = {search_.after, options_.max_expired};
}

Decisions Scheduler::next(Moment now) {
  Decisions decisions;
  find_overdue(now.mono);
  run_wakes(now.mono);
  considered_.swap(dirty_);
  for (const EndpointSeq endpoint : considered_) {
    if (Lane* lane = find(endpoint)) consider(*lane, now);
  }
  considered_.clear();
  send_some(now, decisions);
  fetch_some(now, decisions);
  search_expired(now.mono, decisions);
  if (!wakes_.empty()) {
    const MonotonicTime first = wakes_.begin()->first;
    decisions.wake_at = std::min(decisions.wake_at.value_or(first), first);
  }
  return decisions;
}

// It had its turn, and says nothing about the endpoint.
RecordOutcome Scheduler::unsendable(DeliveryKey key, DeadReason reason, Moment now) {
  Lane& lane = *lanes_.at(key.endpoint);
  Held& held = lane.held.at(key.event);
  assert(held.stage == Stage::kSending);
  held.stage = Stage::kRecording;
  no_longer_sending(lane, held);
  lane.health.abandoned(held.probe);
  classify(lane);
  touch(lane);
  return {.key = key,
          .attempt = {},
          .subject = {},
          .at = now.wall,
          .state = DeliveryState::kDead,
          .reason = reason};
}

}  // namespace outboxd
