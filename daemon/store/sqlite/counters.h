// The row of table `counter`: the last numbers assigned, and how many of everything there are.
#pragma once

#include "store/sqlite/database.h"

namespace outboxd::sqlite {

struct Counters {
  EventSeq event_seq = 0;        // the last one given
  EndpointSeq endpoint_seq = 0;  // the last one given
  std::int64_t events = 0;
  std::int64_t pending = 0, delivered = 0, dead = 0, discarded = 0;  // deliveries by state
  std::int64_t batches = 0;  // made; what changes now has this number in its column after_batch

  std::int64_t& of(DeliveryState state);
  void move(DeliveryState from, DeliveryState to);  // one delivery
};

// Runs sql::kReadCounter. Throws CorruptValue when the row is missing.
Counters read_counters(Statement& read_counter);

}  // namespace outboxd::sqlite
