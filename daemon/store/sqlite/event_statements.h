// Accepting events: from a command or a row of the SQL outbox, and the fan-out that remains of one.
#pragma once

#include <string_view>

namespace outboxd::sqlite::sql {

inline constexpr std::string_view kInsertEvent =
    "INSERT INTO event (seq, id, tenant, type, payload, content_type, ordering_key, priority, headers, "
    "traceparent,"
    " cloud_event, created_at, deliver_at, expires_at, deliveries, checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
    "?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
// Run at the end of a fan-out: endpoints may have changed on the way, so the count is certain only then.
inline constexpr std::string_view kCountEventDeliveries =
    "UPDATE event SET deliveries = (SELECT count(*) FROM delivery WHERE event = ?1) WHERE seq = ?1";
inline constexpr std::string_view kAddEventDeliveries =
    "UPDATE event SET deliveries = deliveries + ?2 WHERE seq = ?1";
inline constexpr std::string_view kFindEventToReplay =
    "SELECT seq, priority, ordering_key, payload_erased_at FROM event WHERE id = ?1";
inline constexpr std::string_view kEventToReplayBySeq =
    "SELECT seq, priority, ordering_key, payload_erased_at FROM event WHERE seq = ?1";
inline constexpr std::string_view kEventToRetry =
    "SELECT ordering_key, payload_erased_at FROM event WHERE seq = ?1";
#define OUTBOXD_EVENT_TO_ERASE                                                                          \
  "SELECT seq, id, tenant, type, payload, content_type, ordering_key, priority, headers, traceparent, " \
  "cloud_event, created_at, deliver_at, expires_at, checksum, payload_erased_at FROM event WHERE "
inline constexpr std::string_view kEventToErase = OUTBOXD_EVENT_TO_ERASE "id = ?1";
inline constexpr std::string_view kEventToEraseBySeq = OUTBOXD_EVENT_TO_ERASE "seq = ?1";
#undef OUTBOXD_EVENT_TO_ERASE
inline constexpr std::string_view kErasePayload =
    "UPDATE event SET payload = x'', checksum = ?2, payload_erased_at = ?3 WHERE seq = ?1";

inline constexpr std::string_view kFindAccepted =
    "SELECT seq, created_at, deliveries FROM event WHERE id = ?1";

inline constexpr std::string_view kInsertFanOut =
    "INSERT INTO fan_out (event, after, last) VALUES (?1, ?2, ?3)";
inline constexpr std::string_view kAdvanceFanOut =
    "UPDATE fan_out SET after = max(after, ?2) WHERE event = ?1";
inline constexpr std::string_view kDeleteFanOut = "DELETE FROM fan_out WHERE event = ?1";
inline constexpr std::string_view kFanOutOf = "SELECT after FROM fan_out WHERE event = ?1";

inline constexpr std::string_view kFindIdempotency =
    "SELECT i.digest, e.id, e.created_at, e.deliveries FROM idempotency AS i JOIN event AS e ON e.seq = "
    "i.event"
    " WHERE i.tenant = ?1 AND i.key = ?2 AND i.expires_at > ?3";
inline constexpr std::string_view kPutIdempotency =
    "INSERT OR REPLACE INTO idempotency (tenant, key, event, digest, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)";

inline constexpr std::string_view kOutboxRowWaits =
    "SELECT 1 FROM outbox WHERE seq = ?1 AND rejected IS NULL";
inline constexpr std::string_view kDeleteOutboxRow = "DELETE FROM outbox WHERE seq = ?1 AND rejected IS NULL";
inline constexpr std::string_view kRetryOutboxRow =
    "UPDATE outbox SET rejected = NULL, rejected_at = NULL WHERE seq = ?1 AND rejected IS NOT NULL";
inline constexpr std::string_view kDropOutboxRow =
    "DELETE FROM outbox WHERE seq = ?1 AND rejected IS NOT NULL";
inline constexpr std::string_view kRejectOutboxRow =
    "UPDATE outbox SET rejected = ?2, rejected_at = ?3 WHERE seq = ?1 AND rejected IS NULL";

inline constexpr std::string_view kSourcePlace =
    "SELECT database, relayed, cleared FROM source WHERE name = ?1";
inline constexpr std::string_view kPutSourcePlace =
    "INSERT OR REPLACE INTO source (name, database, relayed, cleared) VALUES (?1, ?2, ?3, ?4)";

}  // namespace outboxd::sqlite::sql
