// Deliveries in order: of those pending with one endpoint and order key the first accepted is the head and
// the others are behind it. Every command that puts a delivery there or takes one away keeps it so, by one
// look at the first of them; what is in no order costs nothing.
#include "store/sqlite/rows.h"
#include "store/sqlite/writer.h"

namespace outboxd::sqlite {

struct Writer::First {
  EventSeq event = 0;
  bool behind = false;
  Time due_at{};
};

std::optional<Writer::First> Writer::first_in_order(EndpointSeq endpoint, const std::string& order_key) {
  Cursor row(first_in_order_, endpoint, order_key);
  if (!row.next()) return std::nullopt;
  return First{row.integer(0), row.number(1) != 0, row.time(2) - ahead_};
}

Writer::Place Writer::place(DeliveryKey key, const std::optional<std::string>& order_key) {
  if (!order_key) return {};
  const auto first = first_in_order(key.endpoint, *order_key);
  if (!first) return {};
  if (first->event < key.event) return {.behind = true, .set_back = {}};
  if (first->behind) return {};
  set_behind_.run(first->event, key.endpoint, 1);
  return {.behind = false, .set_back = DeliveryKey{first->event, key.endpoint}};
}

std::optional<NewHead> Writer::promote(EndpointSeq endpoint, const std::string& order_key) {
  const auto first = first_in_order(endpoint, order_key);
  if (!first || !first->behind) return std::nullopt;
  set_behind_.run(first->event, endpoint, 0);
  return NewHead{{first->event, endpoint}, first->due_at};
}

std::optional<std::string> Writer::order_key_of_pending(DeliveryKey key) {
  Cursor row(order_key_of_pending_, key.event, key.endpoint);
  if (!row.next()) return std::nullopt;
  return row.text(0);
}

}  // namespace outboxd::sqlite
