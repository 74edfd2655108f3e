// The relay's statements for the outbox in an application's own database (source_database.h).
#pragma once

#include <string_view>

namespace outboxd::postgresql::sql {

inline constexpr std::string_view kSourceDatabase = "SELECT database::text FROM outbox_source";
// A lock of the database, named by a table of it. The session's end frees it.
inline constexpr std::string_view kSourceLock =
    "SELECT pg_try_advisory_lock('outbox_source'::regclass::oid::integer, 0)";
// Ends the session of whoever holds it and has been silent for $1 milliseconds. Servers from 14 on do so themselves.
inline constexpr std::string_view kSourceFreeLock =
    "SELECT pg_terminate_backend(a.pid) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid WHERE "
    "l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = "
    "current_database()) AND l.classid = 'outbox_source'::regclass::oid AND l.objid = 0 AND l.objsubid = 2 "
    "AND l.granted AND a.usename = current_user AND a.state = 'idle' AND a.state_change < clock_timestamp() "
    "- $1::bigint * interval '1 millisecond'";

// What was taken, a line for each row that is not rejected, at least one for each time: first, rows, place, seq.
inline constexpr std::string_view kSourceTaken =
    "SELECT t.first, t.rows, u.place, u.seq FROM outbox_taken AS t LEFT JOIN LATERAL unnest(t.seqs) WITH "
    "ORDINALITY AS u(seq, place) ON u.seq IS NOT NULL ORDER BY t.first, u.place";
// Of the rows from $1 on that are not among $2, the first $3 get the numbers after $4; but nothing happens if that is not
// the highest number given. The highest number before this, the bounds of the snapshot, and what was taken; at least one
// line. Whoever takes at the same time runs into the primary key.
inline constexpr std::string_view kSourceTake =
    "WITH given AS MATERIALIZED (SELECT coalesce((SELECT first + rows - 1 FROM outbox_taken ORDER BY first "
    "DESC LIMIT 1), 0) AS last), waiting AS MATERIALIZED (SELECT seq FROM outbox WHERE rejected IS NULL AND "
    "seq >= $1 AND seq <> ALL ($2::bigint[]) ORDER BY seq LIMIT $3), taken AS (INSERT INTO outbox_taken "
    "(first, rows, seqs) SELECT $4 + 1, count(*), array_agg(seq ORDER BY seq) FROM waiting WHERE (SELECT "
    "last FROM given) = $4 HAVING count(*) > 0) SELECT g.last, pg_snapshot_xmin(pg_current_snapshot())"
    "::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint, w.seq FROM given AS g LEFT JOIN "
    "waiting AS w ON true ORDER BY w.seq";

#define OUTBOXD_PAYLOAD "coalesce(payload_bytes, convert_to(payload::text, 'UTF8'))"
// Of rows $1, in their order and as far as they are there: their place in $1, then seq, type, payload, whether it is text,
// tenant, content_type, ordering_key, idempotency_key, headers, deliver_at, expires_at, traceparent, priority; the last is
// whether the row has more than $3 bytes, and then there is nothing else of it. They end when $2 bytes of payload are
// reached, as they are stored: nothing is decompressed to know that.
inline constexpr std::string_view kSourceRows =
    "SELECT place, seq, CASE WHEN good THEN type END, CASE WHEN good THEN " OUTBOXD_PAYLOAD
    " END, (payload_bytes IS NULL)::integer, CASE WHEN good THEN tenant END, CASE WHEN good THEN "
    "content_type END, CASE WHEN good THEN ordering_key END, CASE WHEN good THEN idempotency_key END, CASE "
    "WHEN good THEN headers::text END, CASE WHEN good THEN deliver_at END, CASE WHEN good THEN expires_at "
    "END, CASE WHEN good THEN traceparent END, priority, NOT good FROM (SELECT *, octet_length(type) + "
    "coalesce(octet_length(" OUTBOXD_PAYLOAD
    "), 0) + coalesce(octet_length(tenant), 0) + coalesce(octet_length(content_type), 0) + "
    "coalesce(octet_length(ordering_key), 0) + coalesce(octet_length(idempotency_key), 0) + "
    "coalesce(octet_length(headers::text), 0) + coalesce(octet_length(deliver_at), 0) + "
    "coalesce(octet_length(expires_at), 0) + coalesce(octet_length(traceparent), 0) <= $3 AS good FROM "
    "(SELECT u.place, o.seq, o.type, o.payload, o.payload_bytes, o.tenant, o.content_type, o.ordering_key, "
    "o.idempotency_key, o.headers, o.deliver_at, o.expires_at, o.traceparent, o.priority, row_number() OVER "
    "w "
    "AS rank, sum(coalesce(pg_column_size(o.payload), 0) + "
    "coalesce(pg_column_size(o.payload_bytes), 0)) OVER w AS stored FROM unnest($1::bigint[]) WITH "
    "ORDINALITY "
    "AS u(wanted, place) JOIN outbox AS o ON o.seq = u.wanted WINDOW w AS (ORDER BY u.place)) AS sized WHERE "
    "rank = 1 OR stored <= $2 OFFSET 0) AS chosen ORDER BY place";
#undef OUTBOXD_PAYLOAD

// Rows $2 with numbers $1 can never become events, because of $3; at $4. They are no longer taken either, so that one of
// which that is no longer true is found as a new one.
inline constexpr std::string_view kSourceReject =
    "WITH bad AS MATERIALIZED (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS b(number, "
    "seq, "
    "why)), forgotten AS (UPDATE outbox_taken AS t SET seqs = ARRAY(SELECT CASE WHEN u.seq <> ALL "
    "($2::bigint[]) THEN u.seq END FROM unnest(t.seqs) WITH ORDINALITY AS u(seq, place) ORDER BY place) "
    "WHERE "
    "t.first <= (SELECT max(number) FROM bad) AND t.first + t.rows > (SELECT min(number) FROM bad)) UPDATE "
    "outbox AS o SET rejected = bad.why, rejected_at = $4 FROM bad WHERE o.seq = ANY ($2::bigint[]) AND "
    "o.seq "
    "= bad.seq AND o.rejected IS NULL";
// Rows $1 are relayed; with them all that was taken at $2, and at $3, which is the newest and stays.
inline constexpr std::string_view kSourceClear =
    "WITH relayed AS (DELETE FROM outbox WHERE seq = ANY ($1::bigint[])), emptied AS (UPDATE outbox_taken "
    "SET "
    "seqs = '{}' WHERE first = $3) DELETE FROM outbox_taken WHERE first = ANY ($2::bigint[])";

inline constexpr std::string_view kSourceCounts =
    "SELECT (SELECT count(*) FROM (SELECT FROM outbox WHERE rejected IS NULL ORDER BY seq LIMIT $1) AS w), "
    "(SELECT count(*) FROM (SELECT FROM outbox WHERE rejected IS NOT NULL ORDER BY seq LIMIT $1) AS r)";

}  // namespace outboxd::postgresql::sql
