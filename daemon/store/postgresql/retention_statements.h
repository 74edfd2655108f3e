// Retention: finding what it may no longer keep, and deleting it. Where a condition is written in a roundabout way ("+ 0",
// IS DISTINCT FROM), no index is to be taken for it: the few rows that were chosen come first.
#pragma once

#include <string_view>

namespace outboxd::postgresql::sql {

inline constexpr std::string_view kDeleteExpiredKeys =
    "WITH chosen AS MATERIALIZED (SELECT tenant, key FROM idempotency WHERE expires_at <= $1 LIMIT $2)"
    " DELETE FROM idempotency AS i USING chosen WHERE i.tenant = chosen.tenant AND i.key = chosen.key"
    " AND i.expires_at + 0 <= $1";
inline constexpr std::string_view kDeleteRejected =
    "WITH chosen AS MATERIALIZED (SELECT seq, coalesce(rejected_at, 0) AS at FROM outbox"
    " WHERE rejected IS NOT NULL ORDER BY seq LIMIT $2)"
    " DELETE FROM outbox AS o USING chosen WHERE o.seq = chosen.seq AND chosen.at < $1"
    " AND o.rejected IS DISTINCT FROM NULL";
inline constexpr std::string_view kDeleteEndedBatches =
    "WITH chosen AS MATERIALIZED (SELECT number FROM batch WHERE finished_at IS NOT NULL AND finished_at < $1"
    " ORDER BY finished_at LIMIT $2) DELETE FROM batch AS b USING chosen WHERE b.number = chosen.number";
inline constexpr std::string_view kDeleteRemovedEndpoints =
    "WITH chosen AS MATERIALIZED (SELECT seq FROM endpoint WHERE removed_at IS NOT NULL AND removed_at < $1"
    " AND NOT discarding ORDER BY removed_at LIMIT $2),"
    " gone AS (DELETE FROM endpoint AS e USING chosen WHERE e.seq = chosen.seq RETURNING e.seq),"
    " counts AS (DELETE FROM endpoint_count AS c USING gone WHERE c.endpoint = gone.seq)"
    " SELECT count(*) FROM gone";

// Of table event, for an EventWalk.
inline constexpr std::string_view kRetentionColumns =
    "seq, id, day, EXISTS (SELECT 1 FROM fan_out AS f WHERE f.event = event.seq)";
// The deliveries of events, up to $4 of each, to the endpoints after a given one: the number of the event in the list (from
// 1), endpoint, state, finished_at, attempts_ever.
inline constexpr std::string_view kFinishesOf =
    "SELECT u.i, d.endpoint, d.state, d.finished_at, d.attempts_ever"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS u(event, day, after, i)"
    " CROSS JOIN LATERAL (SELECT endpoint, 'pending' AS state, NULL::bigint AS finished_at, 0 AS "
    "attempts_ever"
    " FROM pending WHERE event = u.event AND endpoint > u.after"
    " UNION ALL SELECT endpoint, state, finished_at, attempts_ever"
    " FROM finished WHERE day = u.day AND event = u.event AND endpoint > u.after ORDER BY endpoint LIMIT $4) "
    "AS d"
    " ORDER BY u.i, d.endpoint";
// Answers endpoint, day, state, how many of these, and how many attempts in all.
inline constexpr std::string_view kDeleteDeliveries =
    "WITH gone AS (DELETE FROM finished AS f"
    " USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u(event, endpoint, day)"
    " WHERE f.day = u.day AND f.event = u.event AND f.endpoint = u.endpoint"
    " RETURNING f.event, f.endpoint, f.day, f.state),"
    " attempts AS (DELETE FROM attempt AS a USING gone AS g"
    " WHERE a.day = g.day AND a.event = g.event AND a.endpoint = g.endpoint RETURNING 1)"
    " SELECT endpoint, day, state, count(*), (SELECT count(*) FROM attempts) FROM gone"
    " GROUP BY endpoint, day, state ORDER BY endpoint, day, state";
// Those of which no delivery is left. Answers their days.
inline constexpr std::string_view kDeleteEvents =
    "DELETE FROM event AS e USING unnest($1::bigint[], $2::bigint[]) AS u(seq, day)"
    " WHERE e.day = u.day AND e.seq = u.seq"
    " AND NOT EXISTS (SELECT 1 FROM pending AS p WHERE p.event = u.seq OFFSET 0)"
    " AND NOT EXISTS (SELECT 1 FROM finished AS f WHERE f.day = u.day AND f.event = u.seq OFFSET 0)"
    " RETURNING e.day";

}  // namespace outboxd::postgresql::sql
