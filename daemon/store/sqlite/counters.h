// What is counted as it changes, so that nobody has to count rows: the row of table `counter` (the last numbers assigned,
// and how many of everything there are), and how many deliveries each endpoint has (table `endpoint_count`).
#pragma once

#include <unordered_map>

#include "store/sqlite/database.h"

namespace outboxd::sqlite {

struct Counters {
  EventSeq event_seq = 0;        // the last one given
  EndpointSeq endpoint_seq = 0;  // the last one given
  std::int64_t events = 0;
  DeliveryCounts deliveries;                                // of all endpoints
  std::unordered_map<EndpointSeq, DeliveryCounts> changes;  // of each endpoint, in this transaction
  std::int64_t batches = 0;  // made; what changes now has this number in its column after_batch

  void add(EndpointSeq endpoint, DeliveryState state, std::int64_t count);
  void move(EndpointSeq endpoint, DeliveryState from, DeliveryState to);  // one delivery
};

// Runs sql::kReadCounter. Throws CorruptValue when the row is missing.
Counters read_counters(Statement& read_counter);

}  // namespace outboxd::sqlite
