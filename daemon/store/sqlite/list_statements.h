// What people list: events, deliveries and rejected rows of the SQL outbox, newest first, and attempts.
#pragma once

#include <string_view>

namespace outboxd::sqlite::sql {

inline constexpr std::string_view kEventById =
    "SELECT seq, id, tenant, type, CASE WHEN ?2 THEN payload END, content_type, ordering_key, priority, "
    "headers,"
    " traceparent, cloud_event, created_at, deliver_at, expires_at, deliveries, length(payload), "
    "payload_erased_at FROM "
    "event WHERE "
    "id = ?1";
// Without what may be large.
#define OUTBOXD_EVENT_ROW                                                                            \
  "SELECT seq, id, tenant, type, NULL, content_type, ordering_key, priority, headers, traceparent, " \
  "NULL, "                                                                                           \
  "created_at, deliver_at, expires_at, deliveries, length(payload), payload_erased_at FROM event "
inline constexpr std::string_view kEventsBefore =
    OUTBOXD_EVENT_ROW "WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2";
inline constexpr std::string_view kUnmatchedBefore = OUTBOXD_EVENT_ROW
    "INDEXED BY event_unmatched WHERE deliveries = 0 AND seq < ?1 ORDER BY seq DESC LIMIT ?2";
#undef OUTBOXD_EVENT_ROW
inline constexpr std::string_view kLastEventBeforeId =
    "SELECT seq FROM event WHERE id < ?1 ORDER BY id DESC LIMIT 1";
inline constexpr std::string_view kEventSeqById = "SELECT seq FROM event WHERE id = ?1";

#define OUTBOXD_DELIVERY_ROW(index)                                                                         \
  "SELECT d.event, d.endpoint, d.state, d.reason, d.attempts, d.due_at, d.priority, d.error, d.created_at," \
  " d.finished_at, e.id, p.id, e.type, e.tenant, e.created_at, d.order_key, d.behind,"                      \
  " coalesce(d.after_batch, 0)"                                                                             \
  " FROM delivery AS d " index                                                                              \
  "CROSS JOIN event AS e ON e.seq = d.event CROSS JOIN endpoint AS p ON p.seq = d.endpoint WHERE "
inline constexpr std::string_view kDeliveryByKey =
    OUTBOXD_DELIVERY_ROW("") "d.event = ?1 AND d.endpoint = ?2";
inline constexpr std::string_view kDeliveriesOfEvent =
    OUTBOXD_DELIVERY_ROW("") "d.event = ?1 AND d.endpoint < ?2 ORDER BY d.endpoint DESC LIMIT ?3";
inline constexpr std::string_view kDeliveriesBefore = OUTBOXD_DELIVERY_ROW(
    "") "(d.event, d.endpoint) < (?1, ?2) ORDER BY d.event DESC, d.endpoint DESC LIMIT ?3";
inline constexpr std::string_view kDeadBefore =
    OUTBOXD_DELIVERY_ROW("INDEXED BY delivery_dead ") "(d.event, d.endpoint) < (?1, ?2) AND d.state = 'dead' ORDER BY d.event DESC, d.endpoint DESC LIMIT ?3";
inline constexpr std::string_view kDeadOfEndpointBefore =
    OUTBOXD_DELIVERY_ROW("INDEXED BY delivery_dead_by_endpoint ") "d.endpoint = ?1 AND d.event < ?2 AND d.state = 'dead' ORDER BY d.event DESC LIMIT ?3";

// The same ranges, oldest first, for batches.
inline constexpr std::string_view kDeliveriesAfter = OUTBOXD_DELIVERY_ROW(
    "") "(d.event, d.endpoint) > (?1, ?2) AND d.event <= ?3 ORDER BY d.event, d.endpoint LIMIT ?4";
inline constexpr std::string_view kDeadAfter =
    OUTBOXD_DELIVERY_ROW("INDEXED BY delivery_dead ") "(d.event, d.endpoint) > (?1, ?2) AND d.event <= ?3 AND d.state = 'dead' ORDER BY d.event, d.endpoint LIMIT ?4";
inline constexpr std::string_view kDeadOfEndpointAfter =
    OUTBOXD_DELIVERY_ROW("INDEXED BY delivery_dead_by_endpoint ") "d.endpoint = ?1 AND d.event > ?2 AND d.event <= ?3 AND d.state = 'dead' ORDER BY d.event LIMIT ?4";

// Pending deliveries of one endpoint in the order in which they will be sent, followed by the blocked ones.
inline constexpr std::string_view kPendingOfEndpointFrom =
    OUTBOXD_DELIVERY_ROW("INDEXED BY delivery_pending ") "d.endpoint = ?1 AND d.priority = ?2 AND (d.due_at, d.event) > (?3, ?4) AND d.state = 'pending'"
                         " AND d.behind = 0 ORDER BY d.due_at, d.event LIMIT ?5";
inline constexpr std::string_view kInOrderOfEndpointFrom =
    OUTBOXD_DELIVERY_ROW("INDEXED BY delivery_in_order ") "d.endpoint = ?1 AND (d.order_key, d.event) > (?2, ?3) AND d.state = 'pending'"
                         " AND d.order_key IS NOT NULL ORDER BY d.order_key, d.event LIMIT ?4";
#undef OUTBOXD_DELIVERY_ROW

inline constexpr std::string_view kAttempts =
    "SELECT id, number, started_at, dns, connect, tls, first_byte, total, outcome, status, error, "
    "request_line,"
    " response_headers, response_body, remote_address, resent FROM attempt WHERE event = ?1 AND endpoint = "
    "?2 ORDER BY number LIMIT "
    "?3";

#define OUTBOXD_OUTBOX_ROW                                                                                \
  "SELECT seq, type, payload, tenant, content_type, ordering_key, idempotency_key, headers, deliver_at, " \
  "expires_at,"                                                                                           \
  " traceparent, priority, rejected, rejected_at FROM outbox WHERE "
inline constexpr std::string_view kOutboxWaiting =
    OUTBOXD_OUTBOX_ROW "rejected IS NULL ORDER BY seq LIMIT ?1";
inline constexpr std::string_view kOutboxRejected =
    OUTBOXD_OUTBOX_ROW "rejected IS NOT NULL AND seq < ?1 ORDER BY seq DESC LIMIT ?2";
inline constexpr std::string_view kRejectedRow = OUTBOXD_OUTBOX_ROW "rejected IS NOT NULL AND seq = ?1";
inline constexpr std::string_view kOutboxRow = OUTBOXD_OUTBOX_ROW "seq = ?1";
#undef OUTBOXD_OUTBOX_ROW
inline constexpr std::string_view kOutboxHasWaiting =
    "SELECT seq FROM outbox WHERE rejected IS NULL ORDER BY seq LIMIT 1";
inline constexpr std::string_view kCountRejected =
    "SELECT count(*) FROM (SELECT 1 FROM outbox WHERE rejected IS NOT NULL ORDER BY seq LIMIT ?1)";

}  // namespace outboxd::sqlite::sql
