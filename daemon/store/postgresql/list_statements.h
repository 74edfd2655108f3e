// What people list, and what batches act upon: events and deliveries in the order of the events' numbers. Their partitions
// are days, so a list is read window by window: a range of numbers, and the days that event_block knows it to be on.
#pragma once

#include <string_view>

#include "store/postgresql/due_statements.h"

namespace outboxd::postgresql::sql {

// The window below $1, or from $1 on, of about $2 rows of event_block: where it ends (that is, begins: below), its first
// and last day, and whether there is more beyond. Days of what outlives its day are read always.
inline constexpr std::string_view kWindowBelow =
    "SELECT w.block << 16, b.first, b.last, EXISTS (SELECT FROM event_block WHERE block < w.block)::integer"
    " FROM (SELECT min(block) AS block FROM (SELECT block FROM event_block WHERE block <= ($1 - 1) >> 16"
    " ORDER BY block DESC LIMIT $2) AS top) AS w CROSS JOIN LATERAL (SELECT min(day) AS first, max(day) AS "
    "last FROM event_block WHERE block >= w.block AND block <= ($1 - 1) >> 16 AND day < 1000000) AS b";
inline constexpr std::string_view kWindowAbove =
    "SELECT (w.block + 1) << 16, b.first, b.last, EXISTS (SELECT FROM event_block WHERE block > "
    "w.block)::integer"
    " FROM (SELECT max(block) AS block FROM (SELECT block FROM event_block WHERE block >= $1 >> 16"
    " ORDER BY block LIMIT $2) AS top) AS w CROSS JOIN LATERAL (SELECT min(day) AS first, max(day) AS last"
    " FROM event_block WHERE block <= w.block AND block >= $1 >> 16 AND day < 1000000) AS b";

// The number of the last event with an id below $1, which is of day $2; absent: there is none on that day.
inline constexpr std::string_view kLastEventBeforeId =
    "SELECT seq FROM event WHERE day = $1 AND id < $2 ORDER BY id DESC LIMIT 1";
// Without an event of that day itself: numbers below which is all that was accepted by then, and nothing of what came later.
inline constexpr std::string_view kNumbersAroundDay =
    "SELECT coalesce((SELECT (max(block) + 1) << 16 FROM event_block WHERE day <= $1), (SELECT (min(block) + "
    "1) << 16 FROM event_block), 0), coalesce((SELECT min(block) << 16 FROM event_block WHERE day >= $1 AND "
    "day < 1000000), 0)";

inline constexpr std::string_view kEventSeqById =
    "SELECT seq, day FROM event WHERE id = $1 AND day IN ($2, $3)";
// $4: with the payload.
inline constexpr std::string_view kEventById =
    "SELECT seq, id, tenant, type, CASE WHEN $4 THEN payload END, content_type, ordering_key, priority, "
    "headers, traceparent, cloud_event, created_at, deliver_at, expires_at, deliveries, "
    "octet_length(payload), "
    "payload_erased_at FROM event WHERE id = $1 AND day IN ($2, $3)";
// Without what may be large: below $1, down to $2, on the days $3 to $4, up to $5 of them.
#define OUTBOXD_EVENT_ROW                                                                                \
  "SELECT seq, id, tenant, type, NULL, content_type, ordering_key, priority, headers, traceparent, "     \
  "NULL, created_at, deliver_at, expires_at, deliveries, octet_length(payload), payload_erased_at FROM " \
  "event WHERE seq < $1 AND seq >= $2 AND " OUTBOXD_DAYS("$3", "$4")
inline constexpr std::string_view kEventsBefore = OUTBOXD_EVENT_ROW " ORDER BY seq DESC LIMIT $5";
inline constexpr std::string_view kUnmatchedBefore =
    OUTBOXD_EVENT_ROW " AND deliveries = 0 ORDER BY seq DESC LIMIT $5";
#undef OUTBOXD_EVENT_ROW

// The columns of read_delivery_row (store/rows.h), then after_batch and the day.
#define OUTBOXD_DELIVERY_ROW                                                                            \
  "SELECT d.event, d.endpoint, d.state, d.reason, d.attempts, d.due_at, d.priority, d.error, "          \
  "d.created_at, d.finished_at, e.id, p.id, e.type, e.tenant, e.created_at, d.sequence_key, d.blocked," \
  " d.after_batch, d.day FROM ("
#define OUTBOXD_OF_PENDING                                                                               \
  "SELECT event, endpoint, 'pending' AS state, NULL AS reason, attempts, due_at, priority, error, "      \
  "created_at, NULL::bigint AS finished_at, sequence_key, blocked::integer AS blocked, after_batch, day" \
  " FROM pending WHERE "
#define OUTBOXD_OF_FINISHED                                                                             \
  "SELECT event, endpoint, state, reason, attempts, due_at, priority, error, created_at, finished_at, " \
  "NULL::text AS sequence_key, 0 AS blocked, after_batch, day FROM finished WHERE "
// Everything of these is kept even if its event or its endpoint is gone, so that who pages through knows how far it is.
// (OFFSET 0: event_statements.h.)
#define OUTBOXD_OF_DELIVERIES_WHERE(more)                                                             \
  ") AS d LEFT JOIN LATERAL (SELECT id, type, tenant, created_at FROM event WHERE seq = d.event AND " \
  "day = d.day" more                                                                                  \
  " OFFSET 0) AS e ON true LEFT JOIN LATERAL (SELECT id FROM endpoint WHERE seq = "                   \
  "d.endpoint OFFSET 0) AS p ON true "
#define OUTBOXD_OF_DELIVERIES OUTBOXD_OF_DELIVERIES_WHERE("")
#define OUTBOXD_OF_DELIVERIES_ON(first, last) OUTBOXD_OF_DELIVERIES_WHERE(" AND " OUTBOXD_DAYS(first, last))

// The day of a delivery of which only the key is known. (Both bounds are NULL if none of its block is left.)
#define OUTBOXD_DAYS_OF_BLOCK(event)                                                     \
  "(day BETWEEN (SELECT min(day) FROM event_block WHERE block = " event                  \
  " >> 16 AND day < 1000000) AND (SELECT max(day) FROM event_block WHERE block = " event \
  " >> 16 AND day < 1000000) OR day >= 1000000)"

inline constexpr std::string_view kDeliveryByKey = OUTBOXD_DELIVERY_ROW OUTBOXD_OF_PENDING
    "event = $1 AND endpoint = $2 UNION ALL " OUTBOXD_OF_FINISHED
    "event = $1 AND endpoint = $2 AND " OUTBOXD_DAYS_OF_BLOCK("$1") OUTBOXD_OF_DELIVERIES;
// Of event $1, those to endpoints below $2, up to $3; its day is $4.
inline constexpr std::string_view kDeliveriesOfEvent = OUTBOXD_DELIVERY_ROW
    "(" OUTBOXD_OF_PENDING
    "event = $1 AND endpoint < $2 ORDER BY endpoint DESC LIMIT "
    "$3) UNION ALL (" OUTBOXD_OF_FINISHED
    "event = $1 AND day = $4 AND endpoint < $2 ORDER BY endpoint DESC LIMIT $3) ORDER BY "
    "endpoint DESC LIMIT $3" OUTBOXD_OF_DELIVERIES_ON("$4", "$4") "ORDER BY d.endpoint DESC";

// Before ($1, $2) and down to event $3, on the days $4 to $5, up to $6.
#define OUTBOXD_BEFORE "(event, endpoint) < ($1, $2) AND event >= $3"
#define OUTBOXD_NEWEST " ORDER BY event DESC, endpoint DESC LIMIT $6"
inline constexpr std::string_view kDeliveriesBefore = OUTBOXD_DELIVERY_ROW
    "(" OUTBOXD_OF_PENDING OUTBOXD_BEFORE OUTBOXD_NEWEST ") UNION ALL (" OUTBOXD_OF_FINISHED OUTBOXD_BEFORE
    " AND " OUTBOXD_DAYS("$4", "$5") OUTBOXD_NEWEST
    ")" OUTBOXD_NEWEST OUTBOXD_OF_DELIVERIES_ON("$4", "$5") "ORDER BY d.event DESC, d.endpoint DESC";
inline constexpr std::string_view kPendingBefore =
    OUTBOXD_DELIVERY_ROW OUTBOXD_OF_PENDING OUTBOXD_BEFORE OUTBOXD_NEWEST OUTBOXD_OF_DELIVERIES_ON(
        "$4", "$5") "ORDER BY d.event DESC, d.endpoint DESC";
inline constexpr std::string_view kDeadBefore = OUTBOXD_DELIVERY_ROW OUTBOXD_OF_FINISHED OUTBOXD_BEFORE
    " AND state = 'dead' AND " OUTBOXD_DAYS("$4", "$5")
        OUTBOXD_NEWEST OUTBOXD_OF_DELIVERIES_ON("$4", "$5") "ORDER BY d.event DESC, d.endpoint DESC";
// $2 is the endpoint here.
inline constexpr std::string_view kDeadOfEndpointBefore = OUTBOXD_DELIVERY_ROW OUTBOXD_OF_FINISHED
    "endpoint = $2 AND event < $1 AND event >= $3 AND state = 'dead' AND " OUTBOXD_DAYS(
        "$4", "$5") " ORDER BY event DESC LIMIT $6" OUTBOXD_OF_DELIVERIES_ON("$4",
                                                                             "$5") "ORDER BY d.event DESC";
#undef OUTBOXD_BEFORE
#undef OUTBOXD_NEWEST

// The same ranges, oldest first, for batches: after ($1, $2) and below event $3.
#define OUTBOXD_AFTER "(event, endpoint) > ($1, $2) AND event < $3"
#define OUTBOXD_OLDEST " ORDER BY event, endpoint LIMIT $6"
inline constexpr std::string_view kDeliveriesAfter = OUTBOXD_DELIVERY_ROW
    "(" OUTBOXD_OF_PENDING OUTBOXD_AFTER OUTBOXD_OLDEST ") UNION ALL (" OUTBOXD_OF_FINISHED OUTBOXD_AFTER
    " AND " OUTBOXD_DAYS("$4", "$5") OUTBOXD_OLDEST
    ")" OUTBOXD_OLDEST OUTBOXD_OF_DELIVERIES_ON("$4", "$5") "ORDER BY d.event, d.endpoint";
inline constexpr std::string_view kPendingAfter =
    OUTBOXD_DELIVERY_ROW OUTBOXD_OF_PENDING OUTBOXD_AFTER OUTBOXD_OLDEST OUTBOXD_OF_DELIVERIES_ON(
        "$4", "$5") "ORDER BY d.event, d.endpoint";
inline constexpr std::string_view kDeadAfter =
    OUTBOXD_DELIVERY_ROW OUTBOXD_OF_FINISHED OUTBOXD_AFTER " AND state = 'dead' AND " OUTBOXD_DAYS("$4", "$5")
        OUTBOXD_OLDEST OUTBOXD_OF_DELIVERIES_ON("$4", "$5") "ORDER BY d.event, d.endpoint";
inline constexpr std::string_view kDeadOfEndpointAfter = OUTBOXD_DELIVERY_ROW OUTBOXD_OF_FINISHED
    "endpoint = $2 AND event > $1 AND event < $3 AND state = 'dead' AND " OUTBOXD_DAYS(
        "$4", "$5") " ORDER BY event LIMIT $6" OUTBOXD_OF_DELIVERIES_ON("$4", "$5") "ORDER BY d.event";
#undef OUTBOXD_AFTER
#undef OUTBOXD_OLDEST

// Pending deliveries of endpoint $1 in the order in which they will be sent, from priority $2 on and there after
// ($3, $4); then, in order of another, the blocked ones.
inline constexpr std::string_view kPendingOfEndpointFrom = OUTBOXD_DELIVERY_ROW
    "SELECT one.* FROM generate_series($2, 0, -1) AS w(priority) CROSS JOIN LATERAL (" OUTBOXD_OF_PENDING
    "endpoint = $1 AND priority = w.priority AND NOT blocked"
    " AND (due_at, event) > (CASE w.priority WHEN $2 THEN $3 ELSE -1 END, CASE w.priority WHEN $2 THEN $4 "
    "ELSE "
    "-1 END) ORDER BY due_at, event LIMIT $5) AS one ORDER BY one.priority DESC, one.due_at, one.event LIMIT "
    "$5" OUTBOXD_OF_DELIVERIES "ORDER BY d.priority DESC, d.due_at, d.event";
inline constexpr std::string_view kInOrderOfEndpointFrom = OUTBOXD_DELIVERY_ROW OUTBOXD_OF_PENDING
    "endpoint = $1 AND (sequence_key, event) > ($2, $3) AND sequence_key IS NOT NULL"
    " ORDER BY sequence_key, event LIMIT $4" OUTBOXD_OF_DELIVERIES "ORDER BY d.sequence_key, d.event";
#undef OUTBOXD_DELIVERY_ROW
#undef OUTBOXD_OF_PENDING
#undef OUTBOXD_OF_FINISHED
#undef OUTBOXD_OF_DELIVERIES_WHERE
#undef OUTBOXD_OF_DELIVERIES
#undef OUTBOXD_OF_DELIVERIES_ON

// Of each delivery ($1 events, $2 endpoints, $3 days), the last attempt recorded before batch $4: its outcome and status,
// in the order given.
inline constexpr std::string_view kLastAttempts =
    "SELECT a.outcome, a.status FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH "
    "ORDINALITY AS w(event, endpoint, on_day, "
    "batch, place) LEFT JOIN LATERAL (SELECT outcome, status FROM attempt WHERE event = w.event AND endpoint "
    "= "
    "w.endpoint AND day = w.on_day AND after_batch < w.batch ORDER BY number DESC LIMIT 1) AS a ON true"
    " ORDER BY w.place";
inline constexpr std::string_view kAttempts =
    "SELECT id, number, started_at, dns, connect, tls, first_byte, total, outcome, status, error, "
    "request_line, response_headers, response_body, remote_address, resent::integer FROM attempt"
    " WHERE event = $1 AND endpoint = $2 AND " OUTBOXD_DAYS_OF_BLOCK("$1") " ORDER BY number LIMIT $3";
#undef OUTBOXD_DAYS_OF_BLOCK

// Events for a replay from $1 on and below $2, on the days $3 to $4, up to $5, with what became of each at endpoint $6
// (0: none): seq, tenant, type, created_at, state, after_batch, whether it was delivered, id.
inline constexpr std::string_view kEventsToReplay =
    "SELECT e.seq, e.tenant, e.type, e.created_at, d.state, coalesce(d.after_batch, 0), ((SELECT 1 FROM "
    "attempt WHERE event = e.seq AND endpoint = $6 AND day = e.day AND outcome = 'success' LIMIT 1) IS NOT "
    "NULL)::integer, e.id"
    " FROM (SELECT seq, day, tenant, type, created_at, id FROM event WHERE seq >= $1 AND seq < $2 AND "
    OUTBOXD_DAYS("$3", "$4") " ORDER BY seq LIMIT $5) AS e LEFT JOIN LATERAL (SELECT 'pending' AS state, "
    "after_batch FROM pending WHERE event = e.seq AND endpoint = $6 UNION ALL SELECT state, after_batch FROM "
    "finished WHERE event = e.seq AND endpoint = $6 AND day = e.day OFFSET 0) AS d ON true ORDER BY e.seq";

}  // namespace outboxd::postgresql::sql
