#include "store/sqlite/counters.h"

namespace outboxd::sqlite {

void Counters::add(EndpointSeq endpoint, DeliveryState state, std::int64_t count) {
  deliveries.of(state) += count;
  changes[endpoint].of(state) += count;
}

void Counters::move(EndpointSeq endpoint, DeliveryState from, DeliveryState to) {
  if (from == to) return;
  DeliveryCounts& change = changes[endpoint];
  for (DeliveryCounts* counts : {&deliveries, &change}) {
    --counts->of(from);
    ++counts->of(to);
  }
}

Counters read_counters(Statement& read_counter) {
  Cursor row(read_counter);
  if (!row.next()) throw CorruptValue("the row of table counter is missing: the database is damaged");
  return {.event_seq = row.integer(0),
          .endpoint_seq = row.integer(1),
          .events = row.integer(2),
          .deliveries = {row.integer(3), row.integer(4), row.integer(5), row.integer(6)},
          .changes = {},
          .batches = row.integer(9)};
}

}  // namespace outboxd::sqlite
