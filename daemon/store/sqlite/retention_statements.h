// Retention: finding what it may no longer keep, and deleting it.
#pragma once

#include <string_view>

namespace outboxd::sqlite::sql {

inline constexpr std::string_view kEventsAfter =
    "SELECT seq, id FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2";
// length() reads nothing of the payload.
inline constexpr std::string_view kPayloadsAfter =
    "SELECT seq, id, length(payload) FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2";
inline constexpr std::string_view kPayloadsGone = "SELECT payloads_gone FROM counter WHERE one = 1";
inline constexpr std::string_view kSetPayloadsGone = "UPDATE counter SET payloads_gone = ?1 WHERE one = 1";
inline constexpr std::string_view kFinishOfDeliveries =
    "SELECT endpoint, state, finished_at FROM delivery WHERE event = ?1 AND endpoint > ?2 ORDER BY endpoint "
    "LIMIT ?3";
inline constexpr std::string_view kAnyDeliveryOf = "SELECT 1 FROM delivery WHERE event = ?1 LIMIT 1";
inline constexpr std::string_view kDeleteAttempts = "DELETE FROM attempt WHERE event = ?1 AND endpoint = ?2";
inline constexpr std::string_view kDeleteDelivery = "DELETE FROM delivery WHERE event = ?1 AND endpoint = ?2";
inline constexpr std::string_view kDeleteEvent = "DELETE FROM event WHERE seq = ?1";

inline constexpr std::string_view kExpiredIdempotency =
    "SELECT tenant, key FROM idempotency INDEXED BY idempotency_by_expiry WHERE expires_at <= ?1 LIMIT ?2";
inline constexpr std::string_view kDeleteIdempotency =
    "DELETE FROM idempotency WHERE tenant = ?1 AND key = ?2";
inline constexpr std::string_view kRejectedAfter =
    "SELECT seq, coalesce(rejected_at, 0) FROM outbox INDEXED BY outbox_rejected WHERE rejected IS NOT NULL "
    "AND "
    "seq > ?1 ORDER BY seq LIMIT ?2";
inline constexpr std::string_view kDeleteRejected =
    "DELETE FROM outbox WHERE seq = ?1 AND rejected IS NOT NULL";
inline constexpr std::string_view kRemovedEndpoints =
    "SELECT seq FROM endpoint INDEXED BY endpoint_removed WHERE removed_at IS NOT NULL AND removed_at < ?1 "
    "AND "
    "discarding = 0 LIMIT ?2";
inline constexpr std::string_view kDeleteEndpoint = "DELETE FROM endpoint WHERE seq = ?1";
inline constexpr std::string_view kDeleteEndpointCount = "DELETE FROM endpoint_count WHERE endpoint = ?1";

}  // namespace outboxd::sqlite::sql
