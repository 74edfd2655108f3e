// Every SQL statement of the daemon's hot and cold paths, in one place, so that a test can ask SQLite for the
// plan of each. Each is an index range read or a write by key: nothing here may scan a table
// (tests/store/query_plan_test.cpp).
#pragma once

#include <string_view>

namespace outboxd::sqlite::sql {

// Transactions. IMMEDIATE, for other processes write too: a transaction that first reads and then cannot
// write would have to be undone.
inline constexpr std::string_view kBegin = "BEGIN IMMEDIATE";
inline constexpr std::string_view kCommit = "COMMIT";
inline constexpr std::string_view kRollback = "ROLLBACK";
inline constexpr std::string_view kBeginRead = "BEGIN";

inline constexpr std::string_view kReadCounter =
    "SELECT event_seq, endpoint_seq, events, pending, delivered, dead, discarded, due_ahead, due_last FROM "
    "counter WHERE one = 1";
inline constexpr std::string_view kAddToCounter =
    "UPDATE counter SET event_seq = ?1, endpoint_seq = ?2, events = events + ?3, pending = pending + ?4,"
    " delivered = delivered + ?5, dead = dead + ?6, discarded = discarded + ?7, due_ahead = ?8, due_last = ?9"
    " WHERE one = 1";

// ---- accepting events
inline constexpr std::string_view kInsertEvent =
    "INSERT INTO event (seq, id, tenant, type, payload, content_type, ordering_key, priority, headers, "
    "traceparent,"
    " created_at, deliver_at, expires_at, deliveries, checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
    "?10, ?11, ?12, ?13, ?14, ?15)";
#define OUTBOXD_INSERT_DELIVERY                                                                     \
  "INSERT INTO delivery (event, endpoint, state, due_at, priority, order_key, behind, created_at, " \
  "expires_at)"                                                                                     \
  " VALUES (?1, ?2, 'pending', ?3, ?4, ?5, ?6, ?7, ?8)"
inline constexpr std::string_view kInsertDelivery = OUTBOXD_INSERT_DELIVERY;
inline constexpr std::string_view kInsertDeliveryUnlessThere =
    OUTBOXD_INSERT_DELIVERY " ON CONFLICT DO NOTHING";
#undef OUTBOXD_INSERT_DELIVERY
// The one that is or should be the head.
inline constexpr std::string_view kFirstInOrder =
    "SELECT event, behind, due_at FROM delivery INDEXED BY delivery_in_order WHERE endpoint = ?1 AND "
    "order_key = ?2 AND state = 'pending' ORDER BY event LIMIT 1";
inline constexpr std::string_view kSetBehind =
    "UPDATE delivery SET behind = ?3 WHERE event = ?1 AND endpoint = ?2";
inline constexpr std::string_view kInsertFanOut =
    "INSERT INTO fan_out (event, after, last) VALUES (?1, ?2, ?3)";
inline constexpr std::string_view kAdvanceFanOut = "UPDATE fan_out SET after = ?2 WHERE event = ?1";
inline constexpr std::string_view kDeleteFanOut = "DELETE FROM fan_out WHERE event = ?1";
// What is known for certain only at the end: endpoints may have changed on the way.
inline constexpr std::string_view kCountEventDeliveries =
    "UPDATE event SET deliveries = (SELECT count(*) FROM delivery WHERE event = ?1) WHERE seq = ?1";
inline constexpr std::string_view kFindIdempotency =
    "SELECT i.digest, e.id, e.created_at, e.deliveries FROM idempotency AS i JOIN event AS e ON e.seq = "
    "i.event"
    " WHERE i.tenant = ?1 AND i.key = ?2 AND i.expires_at > ?3";
inline constexpr std::string_view kPutIdempotency =
    "INSERT OR REPLACE INTO idempotency (tenant, key, event, digest, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)";
inline constexpr std::string_view kOutboxRowWaits =
    "SELECT 1 FROM outbox WHERE seq = ?1 AND rejected IS NULL";
inline constexpr std::string_view kDeleteOutboxRow = "DELETE FROM outbox WHERE seq = ?1 AND rejected IS NULL";
inline constexpr std::string_view kRejectOutboxRow =
    "UPDATE outbox SET rejected = ?2, rejected_at = ?3 WHERE seq = ?1 AND rejected IS NULL";

// ---- outcomes
inline constexpr std::string_view kInsertAttempt =
    "INSERT INTO attempt (event, endpoint, number, id, started_at, dns, connect, tls, first_byte, total, "
    "outcome, status,"
    " error, request_line, response_headers, response_body, remote_address, resent)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) ON CONFLICT "
    "DO NOTHING";
inline constexpr std::string_view kLastAttempt =
    "SELECT max(number) FROM attempt WHERE event = ?1 AND endpoint = ?2";
// Only what is still pending moves: what an operator did meanwhile stands. One statement for what is in no
// order, which is tried first, and one for what is: the first leaves the index of those in order alone.
#define OUTBOXD_MOVE                                                                                    \
  "UPDATE delivery SET state = ?3, reason = ?4, due_at = coalesce(?5, due_at), error = CASE ?6 WHEN 0 " \
  "THEN error ELSE ?7 END,"                                                                             \
  " finished_at = ?8, attempts = attempts + ?9, attempts_ever = max(attempts_ever, ?10)"
inline constexpr std::string_view kMovePending =
    OUTBOXD_MOVE " WHERE event = ?1 AND endpoint = ?2 AND state = 'pending' AND order_key IS NULL";
inline constexpr std::string_view kMovePendingInOrder = OUTBOXD_MOVE
    ", order_key = CASE ?3 WHEN 'pending' THEN order_key END WHERE event = ?1 AND endpoint = ?2"
    " AND state = 'pending' AND order_key IS NOT NULL";
#undef OUTBOXD_MOVE
inline constexpr std::string_view kOrderKeyOfPending =
    "SELECT order_key FROM delivery WHERE event = ?1 AND endpoint = ?2 AND state = 'pending' AND order_key "
    "IS NOT NULL";
inline constexpr std::string_view kExpires =
    "SELECT 1 FROM delivery WHERE event = ?1 AND endpoint = ?2 AND expires_at IS NOT NULL";
inline constexpr std::string_view kCountAttempt =
    "UPDATE delivery SET attempts_ever = max(attempts_ever, ?3) WHERE event = ?1 AND endpoint = ?2";

// ---- an operator's hand
inline constexpr std::string_view kFindDelivery =
    "SELECT event, endpoint, state, reason, attempts, due_at, priority, error, created_at, finished_at"
    " FROM delivery WHERE event = ?1 AND endpoint = ?2";
inline constexpr std::string_view kChangeDelivery =
    "UPDATE delivery SET state = ?3, reason = NULL, due_at = coalesce(?4, due_at), finished_at = ?5,"
    " attempts = CASE ?3 WHEN 'pending' THEN 0 ELSE attempts END, order_key = ?6, behind = ?7,"
    " expires_at = CASE ?3 WHEN 'pending' THEN NULL ELSE expires_at END"  // an operator's word goes before the event's
    " WHERE event = ?1 AND endpoint = ?2";
inline constexpr std::string_view kFindEventToReplay =
    "SELECT seq, priority, ordering_key FROM event WHERE id = ?1";
inline constexpr std::string_view kEventOrderingKey = "SELECT ordering_key FROM event WHERE seq = ?1";
inline constexpr std::string_view kEndpointOrdering =
    "SELECT ordering FROM endpoint WHERE seq = ?1 AND removed_at IS NULL";
inline constexpr std::string_view kAddEventDeliveries =
    "UPDATE event SET deliveries = deliveries + ?2 WHERE seq = ?1";

// ---- endpoints
#define OUTBOXD_ENDPOINT_COLUMNS                                                                          \
  "seq, id, url, name, tenant, types, secrets, headers, format, timeout, retry_schedule, max_in_flight, " \
  "state,"                                                                                                \
  " disabled_reason, metadata, created_at, updated_at, rate_limit_count, rate_limit_per, ordering, "      \
  "on_failure_in_order, failing_since, tls"
inline constexpr std::string_view kInsertEndpoint =
    "INSERT INTO endpoint (" OUTBOXD_ENDPOINT_COLUMNS
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
    "?19, ?20, ?21, ?22, ?23)";
inline constexpr std::string_view kUpdateEndpoint =
    "UPDATE endpoint SET url = ?2, name = ?3, tenant = ?4, types = ?5, secrets = ?6, headers = ?7, format = "
    "?8, timeout = ?9,"
    " retry_schedule = ?10, max_in_flight = ?11, metadata = ?12, updated_at = ?13,"
    " rate_limit_count = ?14, rate_limit_per = ?15, ordering = ?16, on_failure_in_order = ?17, tls = ?18 "
    "WHERE seq = ?1";
// Removed endpoints too: what retention has not deleted yet is still on the disk.
inline constexpr std::string_view kSecretsAfter =
    "SELECT seq, id, secrets FROM endpoint WHERE seq > ?1 ORDER BY seq LIMIT ?2";
inline constexpr std::string_view kSetSecrets = "UPDATE endpoint SET secrets = ?2 WHERE seq = ?1";
inline constexpr std::string_view kSetEndpointState =
    "UPDATE endpoint SET state = ?2, disabled_reason = ?3, updated_at = ?4, failing_since = ?5 WHERE seq = "
    "?1";
inline constexpr std::string_view kSetFailingSince =
    "UPDATE endpoint SET failing_since = ?2 WHERE seq = ?1 AND removed_at IS NULL";
inline constexpr std::string_view kRemoveEndpoint =
    "UPDATE endpoint SET removed_at = ?2, discarding = 1 WHERE seq = ?1";
inline constexpr std::string_view kEndpointById =
    "SELECT " OUTBOXD_ENDPOINT_COLUMNS " FROM endpoint WHERE id = ?1 AND removed_at IS NULL";
inline constexpr std::string_view kEndpointLives =
    "SELECT 1 FROM endpoint WHERE seq = ?1 AND removed_at IS NULL";
inline constexpr std::string_view kEndpointsAfter =
    "SELECT " OUTBOXD_ENDPOINT_COLUMNS
    " FROM endpoint WHERE seq > ?1 AND removed_at IS NULL ORDER BY seq LIMIT ?2";
inline constexpr std::string_view kEndpointsOfTenantAfter =
    "SELECT " OUTBOXD_ENDPOINT_COLUMNS
    " FROM endpoint WHERE tenant = ?1 AND seq > ?2 AND removed_at IS NULL ORDER BY seq LIMIT ?3";
inline constexpr std::string_view kEndpointSeqById = "SELECT seq FROM endpoint WHERE id = ?1";
#undef OUTBOXD_ENDPOINT_COLUMNS
// Read once, at the start.
inline constexpr std::string_view kLiveEndpoints =
    "SELECT seq FROM endpoint WHERE removed_at IS NULL ORDER BY seq";
inline constexpr std::string_view kDiscardingEndpoint =
    "SELECT seq FROM endpoint WHERE discarding = 1 ORDER BY seq LIMIT 1";
inline constexpr std::string_view kPendingOfEndpoint =
    "SELECT event FROM delivery INDEXED BY delivery_pending WHERE endpoint = ?1 AND state = 'pending' AND "
    "behind = 0 LIMIT ?2";
inline constexpr std::string_view kPendingInOrderOfEndpoint =
    "SELECT event FROM delivery INDEXED BY delivery_in_order WHERE endpoint = ?1 AND state = 'pending' AND "
    "order_key IS NOT NULL LIMIT ?2";
inline constexpr std::string_view kDiscardPending =
    "UPDATE delivery SET state = 'discarded', finished_at = ?3, order_key = NULL WHERE event = ?1 AND "
    "endpoint = ?2 AND state = 'pending'";
inline constexpr std::string_view kEndDiscarding = "UPDATE endpoint SET discarding = 0 WHERE seq = ?1";

// ---- retention
inline constexpr std::string_view kEventsAfter =
    "SELECT seq, id FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2";
inline constexpr std::string_view kFinishOfDeliveries =
    "SELECT endpoint, state, finished_at FROM delivery WHERE event = ?1 AND endpoint > ?2 ORDER BY endpoint "
    "LIMIT ?3";
inline constexpr std::string_view kAnyDeliveryOf = "SELECT 1 FROM delivery WHERE event = ?1 LIMIT 1";
inline constexpr std::string_view kFanOutOf = "SELECT 1 FROM fan_out WHERE event = ?1";
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

// ---- delivery loop
// One seek finds the highest priority that has anything pending and its earliest due time; the next one goes
// below it.
inline constexpr std::string_view kNextPriority =
    "SELECT priority, due_at FROM delivery INDEXED BY delivery_pending WHERE endpoint = ?1 AND priority <= "
    "?2 AND state = 'pending' AND behind = 0"
    " ORDER BY priority DESC, due_at, event LIMIT 1";
// How many of one priority are due, counted up to ?4.
inline constexpr std::string_view kCountDue =
    "SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_pending WHERE endpoint = ?1 AND "
    "priority = ?2 AND due_at <= ?3 AND state = 'pending' AND behind = 0 LIMIT ?4)";
inline constexpr std::string_view kDueOfPriority =
    "SELECT d.event, d.attempts, d.attempts_ever, d.due_at, d.created_at, d.order_key, d.expires_at,"
    " e.id, e.tenant, e.type, e.payload, e.content_type, e.ordering_key, e.priority, e.headers, "
    "e.traceparent, e.created_at,"
    " e.deliver_at, e.expires_at, e.checksum"
    " FROM delivery AS d INDEXED BY delivery_pending CROSS JOIN event AS e ON e.seq = d.event"
    " WHERE d.endpoint = ?1 AND d.priority = ?2 AND d.due_at <= ?3 AND d.state = 'pending' AND d.behind = 0"
    " ORDER BY d.due_at, d.event LIMIT ?4";
inline constexpr std::string_view kLastUnchecked = "SELECT last_unchecked FROM counter WHERE one = 1";
// Every event in turn, for the check of their checksums: columns as read_checked_event has them.
inline constexpr std::string_view kWholeEventsAfter =
    "SELECT seq, id, tenant, type, payload, content_type, ordering_key, priority, headers, traceparent, "
    "created_at,"
    " deliver_at, expires_at, checksum FROM event WHERE seq > ?1 ORDER BY seq";
inline constexpr std::string_view kFirstDueAfter =
    "SELECT due_at FROM delivery INDEXED BY delivery_pending WHERE endpoint = ?1 AND priority = ?2 AND "
    "due_at > ?3 AND state = 'pending' AND behind = 0"
    " ORDER BY due_at, event LIMIT 1";
inline constexpr std::string_view kExpiredAfter =
    "SELECT d.event, d.endpoint, d.attempts, d.attempts_ever, d.due_at, d.created_at, d.order_key, "
    "d.expires_at, e.id, e.type"
    " FROM delivery AS d INDEXED BY delivery_expiring CROSS JOIN event AS e ON e.seq = d.event"
    " WHERE (d.expires_at, d.event, d.endpoint) > (?1, ?2, ?3) AND d.expires_at <= ?4 AND d.state = 'pending'"
    " ORDER BY d.expires_at, d.event, d.endpoint LIMIT ?5";

// ---- status
// The next endpoint that has something pending which is behind no other: its highest priority, and that one's earliest
// due time. kNextPriority goes on from there.
inline constexpr std::string_view kNextPendingEndpoint =
    "SELECT endpoint, priority, due_at FROM delivery INDEXED BY delivery_pending WHERE endpoint > ?1 AND "
    "state = 'pending'"
    " AND behind = 0 ORDER BY endpoint, priority DESC, due_at, event LIMIT 1";
inline constexpr std::string_view kNextEndpointBehind =
    "SELECT endpoint, due_at FROM delivery INDEXED BY delivery_behind WHERE endpoint > ?1 AND state = "
    "'pending'"
    " AND behind = 1 ORDER BY endpoint, due_at LIMIT 1";
inline constexpr std::string_view kCountPending =
    "SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_pending WHERE endpoint = ?1 AND state "
    "= 'pending'"
    " AND behind = 0 LIMIT ?2)";
inline constexpr std::string_view kCountBehind =
    "SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_behind WHERE endpoint = ?1 AND state = "
    "'pending'"
    " AND behind = 1 LIMIT ?2)";

// ---- events, newest first
inline constexpr std::string_view kEventById =
    "SELECT seq, id, tenant, type, CASE WHEN ?2 THEN payload END, content_type, ordering_key, priority, "
    "headers,"
    " traceparent, created_at, deliver_at, expires_at, deliveries, length(payload) FROM event WHERE id = ?1";
inline constexpr std::string_view kEventsBefore =
    "SELECT seq, id, tenant, type, NULL, content_type, ordering_key, priority, headers, traceparent, "
    "created_at, deliver_at,"
    " expires_at, deliveries, length(payload) FROM event WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2";
inline constexpr std::string_view kLastEventBeforeId =
    "SELECT seq FROM event WHERE id < ?1 ORDER BY id DESC LIMIT 1";
inline constexpr std::string_view kEventSeqById = "SELECT seq FROM event WHERE id = ?1";

// ---- deliveries, newest first (those pending at one endpoint: in the order they will be sent, and then
// those that wait behind others)
#define OUTBOXD_DELIVERY_ROW(index)                                                                         \
  "SELECT d.event, d.endpoint, d.state, d.reason, d.attempts, d.due_at, d.priority, d.error, d.created_at," \
  " d.finished_at, e.id, p.id, e.type, e.tenant, e.created_at, d.order_key, d.behind"                       \
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

inline constexpr std::string_view kUnfinishedFanOuts =
    "SELECT f.event, f.after, f.last, e.id, e.tenant, e.type, e.payload, e.content_type, e.ordering_key, "
    "e.priority, e.headers, e.traceparent, e.created_at, e.deliver_at, e.expires_at, e.checksum"
    " FROM fan_out AS f CROSS JOIN event AS e ON e.seq = f.event WHERE f.event > ?1 ORDER BY f.event LIMIT "
    "?2";

// ---- the SQL outbox
#define OUTBOXD_OUTBOX_ROW                                                                                \
  "SELECT seq, type, payload, tenant, content_type, ordering_key, idempotency_key, headers, deliver_at, " \
  "expires_at,"                                                                                           \
  " traceparent, priority, rejected, rejected_at FROM outbox WHERE "
inline constexpr std::string_view kOutboxWaiting =
    OUTBOXD_OUTBOX_ROW "rejected IS NULL ORDER BY seq LIMIT ?1";
inline constexpr std::string_view kOutboxRejected =
    OUTBOXD_OUTBOX_ROW "rejected IS NOT NULL AND seq < ?1 ORDER BY seq DESC LIMIT ?2";
#undef OUTBOXD_OUTBOX_ROW
inline constexpr std::string_view kOutboxHasWaiting =
    "SELECT seq FROM outbox WHERE rejected IS NULL ORDER BY seq LIMIT 1";
inline constexpr std::string_view kCountRejected =
    "SELECT count(*) FROM (SELECT 1 FROM outbox WHERE rejected IS NOT NULL ORDER BY seq LIMIT ?1)";

// All of the above but the transactions and what is read once, for the test of their plans.
inline constexpr std::string_view kAll[] = {
    kReadCounter,
    kAddToCounter,
    kInsertEvent,
    kInsertDelivery,
    kInsertDeliveryUnlessThere,
    kFirstInOrder,
    kSetBehind,
    kInsertFanOut,
    kAdvanceFanOut,
    kDeleteFanOut,
    kCountEventDeliveries,
    kFindIdempotency,
    kPutIdempotency,
    kOutboxRowWaits,
    kDeleteOutboxRow,
    kRejectOutboxRow,
    kInsertAttempt,
    kLastAttempt,
    kMovePending,
    kMovePendingInOrder,
    kOrderKeyOfPending,
    kExpires,
    kCountAttempt,
    kFindDelivery,
    kChangeDelivery,
    kFindEventToReplay,
    kEventOrderingKey,
    kEndpointOrdering,
    kAddEventDeliveries,
    kInsertEndpoint,
    kUpdateEndpoint,
    kSecretsAfter,
    kSetSecrets,
    kSetEndpointState,
    kSetFailingSince,
    kRemoveEndpoint,
    kEndpointById,
    kEndpointLives,
    kEndpointsAfter,
    kEndpointsOfTenantAfter,
    kEndpointSeqById,
    kDiscardingEndpoint,
    kPendingOfEndpoint,
    kPendingInOrderOfEndpoint,
    kDiscardPending,
    kEndDiscarding,
    kEventsAfter,
    kFinishOfDeliveries,
    kFanOutOf,
    kAnyDeliveryOf,
    kDeleteAttempts,
    kDeleteDelivery,
    kDeleteEvent,
    kExpiredIdempotency,
    kDeleteIdempotency,
    kRejectedAfter,
    kDeleteRejected,
    kRemovedEndpoints,
    kDeleteEndpoint,
    kNextPriority,
    kCountDue,
    kDueOfPriority,
    kFirstDueAfter,
    kExpiredAfter,
    kNextPendingEndpoint,
    kNextEndpointBehind,
    kCountPending,
    kCountBehind,
    kLastUnchecked,
    kWholeEventsAfter,
    kEventById,
    kEventsBefore,
    kLastEventBeforeId,
    kEventSeqById,
    kDeliveryByKey,
    kDeliveriesOfEvent,
    kDeliveriesBefore,
    kDeadBefore,
    kDeadOfEndpointBefore,
    kPendingOfEndpointFrom,
    kInOrderOfEndpointFrom,
    kAttempts,
    kUnfinishedFanOuts,
    kOutboxWaiting,
    kOutboxRejected,
    kOutboxHasWaiting,
    kCountRejected,
};

}  // namespace outboxd::sqlite::sql
