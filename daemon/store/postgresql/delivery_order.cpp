#include "store/postgresql/delivery_order.h"

namespace outboxd::postgresql {

DeliveryOrder::DeliveryOrder(Connection& db)
    // Taken one by one, in the order of the array.
    : lock_many_(db,
                 "SELECT pg_advisory_xact_lock('pending'::regclass::oid::integer, n::integer)"
                 " FROM unnest($1::bigint[]) AS l(n)"),
      heads_(
          db,
          "SELECT k.n, p.event FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS k(endpoint, key, n),"
          " LATERAL (SELECT event FROM pending WHERE endpoint = k.endpoint AND sequence_key = k.key"
          " ORDER BY event LIMIT 1) AS p"),
      promote_many_(
          db,
          "UPDATE pending AS p SET blocked = false"
          " FROM (SELECT k.n, k.endpoint, f.event FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY"
          " AS k(endpoint, key, n), LATERAL (SELECT event, blocked FROM pending WHERE endpoint = k.endpoint"
          " AND sequence_key = k.key ORDER BY event LIMIT 1) AS f WHERE f.blocked) AS h"
          " WHERE p.event = h.event AND p.endpoint = h.endpoint RETURNING h.n"),
      first_in_order_(db,
                      "SELECT event, blocked FROM pending WHERE endpoint = $1 AND sequence_key = $2 AND"
                      " event > $3 ORDER BY event LIMIT 1"),
      set_blocked_(db, "UPDATE pending SET blocked = $3 WHERE event = $1 AND endpoint = $2"),
      sequence_key_of_pending_(db,
                               "SELECT sequence_key FROM pending WHERE event = $1 AND endpoint = $2 AND"
                               " sequence_key IS NOT NULL") {}

// FNV-1a: the same in every daemon, whatever it was compiled with.
int DeliveryOrder::lock_of(EndpointSeq endpoint, std::string_view sequence_key) {
  std::uint64_t hash = 14695981039346656037ull;
  const auto mix = [&hash](unsigned char byte) { hash = (hash ^ byte) * 1099511628211ull; };
  for (int shift = 0; shift < 32; shift += 8) mix(static_cast<unsigned char>(endpoint >> shift & 0xff));
  for (const char c : sequence_key) mix(static_cast<unsigned char>(c));
  return static_cast<int>((hash ^ hash >> 32) % kLocks);
}

void DeliveryOrder::lock(EndpointSeq endpoint, std::string_view sequence_key) {
  lock_many_.run(std::vector<std::int64_t>{lock_of(endpoint, sequence_key)});
}

std::optional<DeliveryOrder::First> DeliveryOrder::first_in_order(EndpointSeq endpoint,
                                                                  const std::string& sequence_key,
                                                                  EventSeq after) {
  Cursor row(first_in_order_, endpoint, sequence_key, after);
  if (!row.next()) return std::nullopt;
  return First{row.integer(0), row.boolean(1)};
}

DeliveryOrder::Place DeliveryOrder::place(DeliveryKey key, const std::optional<std::string>& sequence_key,
                                          const Transaction& transaction) {
  if (!sequence_key) return {};
  lock(key.endpoint, *sequence_key);
  const auto first = first_in_order(key.endpoint, *sequence_key);
  if (!first) return {};
  if (first->event < key.event) return {.blocked = true, .demoted = {}};
  if (first->blocked && !transaction.repeats()) return {};
  set_blocked_.run(first->event, key.endpoint, true);
  return {.blocked = false, .demoted = DeliveryKey{first->event, key.endpoint}};
}

bool DeliveryOrder::promote(EndpointSeq endpoint, const std::string& sequence_key) {
  lock(endpoint, sequence_key);
  const auto first = first_in_order(endpoint, sequence_key);
  if (!first || !first->blocked) return false;
  set_blocked_.run(first->event, endpoint, false);
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

}  // namespace outboxd::postgresql
