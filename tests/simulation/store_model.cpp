#include "simulation/store_model.h"

#include <algorithm>

namespace outboxd::simulation {

Row* StoreModel::find(DeliveryKey key) {
  const auto lane = lanes_.find(key.endpoint);
  if (lane == lanes_.end()) return nullptr;
  const auto row = lane->second.rows.find(key.event);
  return row == lane->second.rows.end() ? nullptr : &row->second;
}

bool StoreModel::insert(DueDelivery delivery) {
  LaneRows& lane = lanes_[delivery.key.endpoint];
  const EventSeq event = delivery.key.event;
  delivery.due_at += ahead_;
  Row row{std::move(delivery)};
  if (row.delivery.sequence_key) {
    auto& in_order = lane.in_order[*row.delivery.sequence_key];
    row.blocked = !in_order.empty() && *in_order.begin() < event;
    in_order.insert(event);
  }
  if (!row.blocked) lane.heads.insert(order_of(row.delivery));
  if (row.delivery.expires_at) expiring_.insert(place_of(row.delivery));
  ++pending_;
  return !lane.rows.emplace(event, std::move(row)).first->second.blocked;
}

bool StoreModel::leave_pending(DeliveryKey key, DeliveryState state) {
  LaneRows& lane = lanes_.at(key.endpoint);
  Row& row = lane.rows.at(key.event);
  row.state = state;
  --pending_;
  expires_no_more(row.delivery);
  if (!row.blocked) lane.heads.erase(order_of(row.delivery));
  row.blocked = false;
  if (!row.delivery.sequence_key) return false;
  const auto in_order = lane.in_order.find(*row.delivery.sequence_key);
  in_order->second.erase(key.event);
  if (in_order->second.empty()) {
    lane.in_order.erase(in_order);
    return false;
  }
  Row& next = lane.rows.at(*in_order->second.begin());
  if (!next.blocked) return false;
  next.blocked = false;
  lane.heads.insert(order_of(next.delivery));
  return true;
}

void StoreModel::postpone(DeliveryKey key, Time due_at) {
  LaneRows& lane = lanes_.at(key.endpoint);
  Row& row = lane.rows.at(key.event);
  if (!row.blocked) lane.heads.erase(order_of(row.delivery));
  row.delivery.due_at = due_at + ahead_;
  if (!row.blocked) lane.heads.insert(order_of(row.delivery));
}

std::optional<DeliveryKey> StoreModel::make_pending(DeliveryKey key, Time due_at) {
  LaneRows& lane = lanes_.at(key.endpoint);
  Row& row = lane.rows.at(key.event);
  row.state = DeliveryState::kPending;
  row.delivery.due_at = due_at + ahead_;
  row.delivery.attempts = 0;
  row.delivery.expires_at.reset();
  ++row.replays;
  ++pending_;
  std::optional<DeliveryKey> demoted;
  if (row.delivery.sequence_key) {
    auto& in_order = lane.in_order[*row.delivery.sequence_key];
    if (!in_order.empty() && *in_order.begin() < key.event) {
      row.blocked = true;
    } else if (!in_order.empty()) {
      Row& head = lane.rows.at(*in_order.begin());
      head.blocked = true;
      lane.heads.erase(order_of(head.delivery));
      demoted = head.delivery.key;
    }
    in_order.insert(key.event);
  }
  if (!row.blocked) lane.heads.insert(order_of(row.delivery));
  return demoted;
}

std::int64_t StoreModel::discard_all(EndpointSeq endpoint) {
  const auto lane = lanes_.find(endpoint);
  if (lane == lanes_.end()) return 0;
  std::int64_t count = 0;
  for (auto& [event, row] : lane->second.rows) {
    if (row.state != DeliveryState::kPending) continue;
    row.state = DeliveryState::kDiscarded;
    row.blocked = false;
    expires_no_more(row.delivery);
    ++count;
  }
  lane->second.heads.clear();
  lane->second.in_order.clear();
  pending_ -= static_cast<std::size_t>(count);
  return count;
}

bool StoreModel::is_head(const Row& row) const {
  if (!row.delivery.sequence_key) return true;
  const auto& in_order = lanes_.at(row.delivery.key.endpoint).in_order;
  const auto mine = in_order.find(*row.delivery.sequence_key);
  return mine == in_order.end() || *mine->second.begin() >= row.delivery.key.event;
}

std::vector<DueDelivery> StoreModel::expired(Time now, const ExpiryPlace& after, int limit) const {
  std::vector<DueDelivery> found;
  for (auto it = expiring_.upper_bound({after.expires_at, after.key.event, after.key.endpoint});
       it != expiring_.end() && std::get<Time>(*it) <= now && static_cast<int>(found.size()) < limit; ++it) {
    const auto& [at, event, endpoint] = *it;
    found.push_back(lanes_.at(endpoint).rows.at(event).delivery);
  }
  return found;
}

// As StoreReader::due(): see daemon/store/reads.h.
DueWindow StoreModel::due(EndpointSeq endpoint, Time wall, int limit, std::span<const EventSeq> held) const {
  const Time now = wall + ahead_;
  DueWindow window;
  const auto found = lanes_.find(endpoint);
  if (found == lanes_.end()) return window;
  const LaneRows& lane = found->second;
  // How many of the oldest of each priority are taken: first a share for every priority, then the rest from the
  // highest.
  struct Level {
    std::set<WindowOrder>::const_iterator at;
    int taken = 0;
  };
  std::vector<Level> levels;
  const auto earlier = [&window, now](Time t) {
    window.next_due_in = std::min(window.next_due_in.value_or(t - now), t - now);
  };
  const auto is_due = [&](const auto& it, int priority) {
    return it != lane.heads.end() && it->priority == priority && it->due_at <= now;
  };
  for (auto it = lane.heads.begin(); it != lane.heads.end();) {
    if (it->due_at <= now) levels.push_back({it});
    const int priority = it->priority;
    const auto later = lane.heads.upper_bound({priority, now, std::numeric_limits<EventSeq>::max()});
    if (later != lane.heads.end() && later->priority == priority) earlier(later->due_at);
    it = lane.heads.lower_bound({priority - 1, Time::min(), 0});
  }
  const int share = std::max(1, limit / 16);
  int left = limit;
  const auto pass_over_held = [&](Level& level, int priority) {
    while (is_due(level.at, priority) && std::ranges::binary_search(held, level.at->event)) ++level.at;
  };
  const auto take = [&](Level& level, int most) {
    const int priority = level.at == lane.heads.end() ? 0 : level.at->priority;
    for (pass_over_held(level, priority); most > 0 && left > 0 && is_due(level.at, priority);
         --most, --left) {
      window.deliveries.push_back(lane.rows.at((level.at++)->event).delivery);
      pass_over_held(level, priority);
    }
  };
  std::vector<int> priorities;
  for (auto& level : levels) priorities.push_back(level.at->priority);
  for (auto& level : levels) take(level, share);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (is_due(levels[i].at, priorities[i])) take(levels[i], left);
    if (is_due(levels[i].at, priorities[i])) window.next_due_in = Millis(0);
  }
  std::ranges::sort(window.deliveries,
                    [](const DueDelivery& a, const DueDelivery& b) { return order_of(a) < order_of(b); });
  for (auto& delivery : window.deliveries) delivery.due_in = delivery.due_at - now;
  return window;
}

}  // namespace outboxd::simulation
