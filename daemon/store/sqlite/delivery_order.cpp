#include "store/sqlite/delivery_order.h"

namespace outboxd::sqlite {

std::optional<DeliveryOrder::First> DeliveryOrder::first_in_order(EndpointSeq endpoint,
                                                                  const std::string& sequence_key) {
  Cursor row(first_in_order_, endpoint, sequence_key);
  if (!row.next()) return std::nullopt;
  return First{row.integer(0), row.number(1) != 0, row.time(2)};
}

DeliveryOrder::Place DeliveryOrder::place(DeliveryKey key, const std::optional<std::string>& sequence_key) {
  if (!sequence_key) return {};
  const auto first = first_in_order(key.endpoint, *sequence_key);
  if (!first) return {};
  if (first->event < key.event) return {.blocked = true, .demoted = {}};
  if (first->blocked) return {};
  set_blocked_.run(first->event, key.endpoint, 1);
  return {.blocked = false, .demoted = DeliveryKey{first->event, key.endpoint}};
}

std::optional<NewHead> DeliveryOrder::promote(EndpointSeq endpoint, const std::string& sequence_key,
                                              const Transaction& transaction) {
  const auto first = first_in_order(endpoint, sequence_key);
  if (!first || !first->blocked) return std::nullopt;
  set_blocked_.run(first->event, endpoint, 0);
  return NewHead{{first->event, endpoint}, first->due_at - transaction.ahead()};
}

std::optional<std::string> DeliveryOrder::sequence_key_of_pending(DeliveryKey key) {
  Cursor row(sequence_key_of_pending_, key.event, key.endpoint);
  if (!row.next()) return std::nullopt;
  return row.text(0);
}

}  // namespace outboxd::sqlite
