// Pending deliveries, as read by the delivery loop and, for each endpoint, by status. Times are coalesce($n,
// clock_millis()), so that tests can tell them.
#pragma once

#include <string_view>

namespace outboxd::postgresql::sql {

// What the delivery loop may send, of each priority from the highest on: up to $2 that are due, and the first that is due
// later (without an event). A priority's range begins at its low-water mark ($3, from priority 9 on). Always a row.
// now, the oldest transaction that has not ended and the number that the next one will get, priority, event, day, attempts,
// attempts_ever, due_at, created_at, sequence_key, expires_at.
inline constexpr std::string_view kDue =
    "WITH c AS MATERIALIZED (SELECT coalesce($4, clock_millis()) AS now, pg_current_snapshot() AS snapshot)"
    " SELECT c.now, pg_snapshot_xmin(c.snapshot)::text::bigint, pg_snapshot_xmax(c.snapshot)::text::bigint, "
    "d.*"
    " FROM c LEFT JOIN LATERAL (SELECT p.priority, one.* FROM generate_series(9, 0, -1) AS "
    "p(priority) CROSS JOIN LATERAL ("
    "(SELECT event, day, attempts, attempts_ever, due_at, created_at, sequence_key, expires_at FROM pending"
    " WHERE endpoint = $1 AND priority = p.priority AND NOT blocked AND due_at >= ($3::bigint[])[10 - "
    "p.priority] AND "
    "due_at <= c.now ORDER BY due_at, event LIMIT $2)"
    " UNION ALL "
    "(SELECT NULL, NULL, NULL, NULL, due_at, NULL, NULL, NULL FROM pending"
    " WHERE endpoint = $1 AND priority = p.priority AND NOT blocked AND due_at > c.now ORDER BY due_at, "
    "event "
    "LIMIT 1)) AS one"
    " WHERE EXISTS (SELECT FROM endpoint WHERE seq = $1 AND removed_at IS NULL)) AS d ON true"
    " ORDER BY d.priority DESC, d.due_at, d.event";

// Days of events that outlive their day (kept_day in the schema): $first and $last bound the others, so that partitions are
// pruned before anything is read.
#define OUTBOXD_DAYS(first, last) "(day BETWEEN " first " AND " last " OR day >= 1000000)"

// The events of deliveries: $1 their numbers, $2 their days, which lie from $3 to $4. The payloads come as long as those
// before them are not longer than $5 together. place (from 1), payload_came, size, the event.
inline constexpr std::string_view kEventsOfDeliveries =
    "SELECT place, (sum(size) OVER (ORDER BY place) - size <= $5)::integer, size, id, tenant, type,"
    " CASE WHEN sum(size) OVER (ORDER BY place) - size <= $5 THEN payload END, content_type, ordering_key, "
    "priority, headers, traceparent,"
    " CASE WHEN sum(size) OVER (ORDER BY place) - size <= $5 THEN cloud_event END, created_at, deliver_at, "
    "expires_at, checksum, payload_erased_at"
    " FROM (SELECT w.place, octet_length(e.payload) + coalesce(octet_length(e.cloud_event), 0) AS size, e.*"
    " FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS w(event, on_day, place)"
    " CROSS JOIN LATERAL (SELECT * FROM event WHERE seq = w.event AND day = w.on_day AND " OUTBOXD_DAYS(
        "$3", "$4") " OFFSET 0) AS e) AS found";

// event, endpoint, attempts, attempts_ever, due_at, created_at, sequence_key, expires_at, id, type, now.
#define OUTBOXD_EXPIRED(more)                                                                           \
  "SELECT d.event, d.endpoint, d.attempts, d.attempts_ever, d.due_at, d.created_at, d.sequence_key, "   \
  "d.expires_at, e.id, e.type, d.now"                                                                   \
  " FROM (SELECT *, coalesce($6, clock_millis()) AS now FROM pending"                                   \
  " WHERE (expires_at, event, endpoint) > ($1, $2, $3) AND expires_at <= $4" more                       \
  " ORDER BY expires_at, event, endpoint LIMIT $5) AS d"                                                \
  " CROSS JOIN LATERAL (SELECT id, type FROM event WHERE seq = d.event AND day = d.day OFFSET 0) AS e " \
  "ORDER BY d.expires_at, d.event, d.endpoint"
inline constexpr std::string_view kExpiredAfter = OUTBOXD_EXPIRED("");
inline constexpr std::string_view kExpiredOfPartitionsAfter =
    OUTBOXD_EXPIRED(" AND endpoint % 256 = ANY ($7::bigint[])");
#undef OUTBOXD_EXPIRED

// The earliest due time of an endpoint, blocked deliveries included: a seek for each priority, and one for them.
#define OUTBOXD_FIRST_DUE(endpoint)                                                                \
  "least((SELECT min(one.due_at) FROM generate_series(9, 0, -1) AS p(priority) CROSS JOIN LATERAL" \
  " (SELECT due_at FROM pending WHERE endpoint = " endpoint                                        \
  " AND priority = p.priority AND NOT blocked ORDER BY due_at, event LIMIT 1) AS one),"            \
  " (SELECT due_at FROM pending WHERE endpoint = " endpoint " AND blocked ORDER BY due_at LIMIT 1))"
#define OUTBOXD_NEXT_ENDPOINT(after)                                                                   \
  "least((SELECT endpoint FROM pending WHERE endpoint > " after                                        \
  " AND NOT blocked ORDER BY endpoint LIMIT 1), (SELECT endpoint FROM pending WHERE endpoint > " after \
  " AND blocked ORDER BY endpoint LIMIT 1))"

// Walks from one endpoint with something pending to the next: endpoint, for how long its first has been due.
inline constexpr std::string_view kOldestDue =
    "WITH RECURSIVE walk(endpoint, n) AS (SELECT " OUTBOXD_NEXT_ENDPOINT(
        "$1") ", 1 UNION ALL SELECT " OUTBOXD_NEXT_ENDPOINT("w.endpoint") ", n + 1 FROM walk AS w WHERE "
                                                                          "w.endpoint IS NOT NULL AND n < $2)"
    " SELECT w.endpoint, coalesce($3, clock_millis()) - " OUTBOXD_FIRST_DUE("w.endpoint")
        " FROM walk AS w WHERE w.endpoint IS NOT NULL ORDER BY w.endpoint";

// Of one endpoint: its deliveries by state, how many of the pending ones are blocked and how many are due later, both
// counted up to $2, and for how long the first has been due.
inline constexpr std::string_view kCountsOfEndpoint =
    "WITH c AS MATERIALIZED (SELECT coalesce($3, clock_millis()) AS now)"
    " SELECT n.*, (SELECT count(*) FROM (SELECT FROM pending WHERE endpoint = $1 AND blocked LIMIT $2) AS b),"
    " (SELECT count(*) FROM (SELECT FROM generate_series(9, 0, -1) AS p(priority) CROSS JOIN LATERAL"
    " (SELECT FROM pending WHERE endpoint = $1 AND priority = p.priority AND NOT blocked AND due_at > c.now "
    "LIMIT $2) AS one LIMIT $2) AS l), c.now - " OUTBOXD_FIRST_DUE(
        "$1") " FROM c CROSS JOIN (SELECT sum(pending)::bigint, sum(delivered)::bigint, sum(dead)::bigint, "
              "sum(discarded)::bigint FROM endpoint_count WHERE endpoint = $1) AS n";
inline constexpr std::string_view kEndpointCountsAfter =
    "SELECT endpoint, sum(pending)::bigint, sum(delivered)::bigint, sum(dead)::bigint, sum(discarded)::bigint"
    " FROM endpoint_count WHERE endpoint > $1 GROUP BY endpoint ORDER BY endpoint LIMIT $2";
#undef OUTBOXD_FIRST_DUE
#undef OUTBOXD_NEXT_ENDPOINT

// event, after, last, the event with its checksum.
inline constexpr std::string_view kUnfinishedFanOuts =
    "SELECT f.event, f.after, f.last, e.id, e.tenant, e.type, e.payload, e.content_type, e.ordering_key, "
    "e.priority, e.headers, e.traceparent, e.cloud_event, e.created_at, e.deliver_at, e.expires_at, "
    "e.checksum, e.payload_erased_at FROM (SELECT * FROM fan_out WHERE event > $1 ORDER BY event LIMIT $2) "
    "AS "
    "f CROSS JOIN LATERAL (SELECT * FROM event WHERE seq = f.event AND day = f.day OFFSET 0) AS e ORDER BY "
    "f.event";

}  // namespace outboxd::postgresql::sql
