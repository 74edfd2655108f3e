// A model in memory of what daemon/store promises: pending deliveries by lane, heads and the deliveries they block.
// Each change here corresponds to one committed transaction.
#pragma once

#include <map>
#include <set>
#include <span>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "delivery/lane.h"

namespace outboxd::simulation {

struct Row {
  DueDelivery delivery;  // due_at as on disk: see daemon/store/due_clock.h, and due_of()
  DeliveryState state = DeliveryState::kPending;
  bool blocked = false;
  int replays = 0;
};

class StoreModel {
 public:
  Row* find(DeliveryKey key);
  Row& at(DeliveryKey key) { return lanes_.at(key.endpoint).rows.at(key.event); }
  std::size_t pending() const { return pending_; }

  bool insert(DueDelivery delivery);                         // true: it is a head
  bool leave_pending(DeliveryKey key, DeliveryState state);  // true: one that it blocked becomes head
  void postpone(DeliveryKey key, Time due_at);
  // A replayed delivery no longer expires. Returns the head that must now wait behind it, if there is one.
  std::optional<DeliveryKey> make_pending(DeliveryKey key, Time due_at);
  std::int64_t discard_all(EndpointSeq endpoint);
  void clock_set_back(Millis by) { ahead_ += by; }
  Time due_of(const Row& row) const { return row.delivery.due_at - ahead_; }

  DueWindow due(EndpointSeq endpoint, Time now, int limit, std::span<const EventSeq> held = {}) const;
  std::vector<DueDelivery> expired(Time now, const ExpiryPlace& after, int limit) const;
  // Is it the first pending delivery of its sequence key?
  bool is_head(const Row& row) const;
  template <class Visit>
  void for_each_pending(Visit visit) {
    for (auto& [endpoint, lane] : lanes_) {
      for (auto& [event, row] : lane.rows) {
        if (row.state == DeliveryState::kPending) visit(row);
      }
    }
  }

 private:
  struct LaneRows {
    std::map<EventSeq, Row> rows;  // in order of acceptance
    std::set<WindowOrder> heads;   // pending and not blocked
    std::map<std::string, std::set<EventSeq>> in_order;
  };
  static std::tuple<Time, EventSeq, EndpointSeq> place_of(const DueDelivery& d) {
    return {*d.expires_at, d.key.event, d.key.endpoint};
  }
  void expires_no_more(const DueDelivery& d) {
    if (d.expires_at) expiring_.erase(place_of(d));
  }
  static WindowOrder order_of(const DueDelivery& d) { return {d.event->priority, d.due_at, d.key.event}; }

  std::unordered_map<EndpointSeq, LaneRows> lanes_;
  std::set<std::tuple<Time, EventSeq, EndpointSeq>> expiring_;  // pending
  std::size_t pending_ = 0;
  Millis ahead_{0};
};

}  // namespace outboxd::simulation
