#include "store/sqlite/counters.h"

namespace outboxd::sqlite {

std::int64_t& Counters::of(DeliveryState state) {
  switch (state) {
    case DeliveryState::kPending:
      return pending;
    case DeliveryState::kDelivered:
      return delivered;
    case DeliveryState::kDead:
      return dead;
    case DeliveryState::kDiscarded:
      break;
  }
  return discarded;
}

void Counters::move(DeliveryState from, DeliveryState to) {
  --of(from);
  ++of(to);
}

Counters read_counters(Statement& read_counter) {
  Cursor row(read_counter);
  if (!row.next()) throw CorruptValue("the row of table counter is missing: the database is damaged");
  return {row.integer(0), row.integer(1), row.integer(2), row.integer(3),
          row.integer(4), row.integer(5), row.integer(6), row.integer(9)};
}

}  // namespace outboxd::sqlite
