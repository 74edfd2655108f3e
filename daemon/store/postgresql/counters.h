// What is counted as it changes, so that nobody has to count rows: the changes of one transaction, which counter_rows.h adds
// to the tables. Everything is counted by the day that its rows have, because retention drops whole days without reading
// what is in them.
#pragma once

#include <map>
#include <utility>

#include "common/delivery.h"

namespace outboxd::postgresql {

struct Counters {
  struct Day {
    std::int64_t events = 0;
    DeliveryCounts deliveries;  // of all endpoints
  };
  std::map<int, Day> days;
  // Of each endpoint and day, in the order in which their rows are locked.
  std::map<std::pair<EndpointSeq, int>, DeliveryCounts> changes;

  void add_events(int day, std::int64_t count) { days[day].events += count; }
  void add(EndpointSeq endpoint, int day, DeliveryState state, std::int64_t count) {
    days[day].deliveries.of(state) += count;
    changes[{endpoint, day}].of(state) += count;
  }
  void move(EndpointSeq endpoint, int day, DeliveryState from, DeliveryState to) {  // one delivery
    if (from == to) return;
    add(endpoint, day, from, -1);
    add(endpoint, day, to, 1);
  }
  // The day is emptied: what was counted of it in this transaction is gone too.
  void forget(int day) {
    days.erase(day);
    std::erase_if(changes, [day](const auto& change) { return change.first.second == day; });
  }
};

}  // namespace outboxd::postgresql
