#include "store/sqlite/delivery_order.h"

namespace outboxd::sqlite {

std::optional<DeliveryOrder::First> DeliveryOrder::first_in_order(EndpointSeq endpoint,
                                                                  const std::string& sequence_key,
                                                                  EventSeq after) {
  Cursor row(first_in_order_, endpoint, sequence_key, after);
  if (!row.next()) return std::nullopt;
  return First{row.integer(0), row.number(1) != 0};
}

DeliveryOrder::Place DeliveryOrder::place(DeliveryKey key, const std::optional<std::string>& sequence_key,
                                          const Transaction& transaction) {
  if (!sequence_key) return {};
  const auto first = first_in_order(key.endpoint, *sequence_key);
  if (!first) return {};
  if (first->event < key.event) return {.blocked = true, .demoted = {}};
  if (first->blocked && !transaction.repeats()) return {};
  set_blocked_.run(first->event, key.endpoint, 1);
  return {.blocked = false, .demoted = DeliveryKey{first->event, key.endpoint}};
}

bool DeliveryOrder::promote(EndpointSeq endpoint, const std::string& sequence_key) {
  const auto first = first_in_order(endpoint, sequence_key);
  if (!first || !first->blocked) return false;
  set_blocked_.run(first->event, endpoint, 0);
  return true;
}

std::optional<DeliveryKey> DeliveryOrder::next_in_order(DeliveryKey key, const std::string& sequence_key) {
  const auto next = first_in_order(key.endpoint, sequence_key, key.event);
  if (!next) return std::nullopt;
  return DeliveryKey{next->event, key.endpoint};
}

std::optional<std::string> DeliveryOrder::sequence_key_of_pending(DeliveryKey key) {
  Cursor row(sequence_key_of_pending_, key.event, key.endpoint);
  if (!row.next()) return std::nullopt;
  return row.text(0);
}

}  // namespace outboxd::sqlite
