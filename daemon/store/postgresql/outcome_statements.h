// Outcomes of attempts.
#pragma once

#include <string_view>

namespace outboxd::postgresql::sql {

// Reads the rows, locks them and takes them away, in the order of the array.
inline constexpr std::string_view kTakePending =
    "DELETE FROM pending AS p USING unnest($1::bigint[], $2::bigint[]) AS k(event, endpoint)"
    " WHERE p.event = k.event AND p.endpoint = k.endpoint"
    " RETURNING p.event, p.endpoint, p.day, p.due_at, p.priority, p.attempts, p.attempts_ever, p.blocked,"
    " p.sequence_key, p.error, p.created_at, p.expires_at, p.after_batch";
inline constexpr std::string_view kFindAttempts =
    "SELECT k.n FROM unnest($1::bigint[], $2::bigint[], $3::uuid[]) WITH ORDINALITY AS k(event, endpoint, "
    "id, n)"
    " CROSS JOIN LATERAL (SELECT day FROM event_block WHERE block = k.event >> 16 OFFSET 0) AS b"
    " CROSS JOIN LATERAL (SELECT FROM attempt WHERE event = k.event AND endpoint = k.endpoint AND day = b.day"
    " AND id = k.id OFFSET 0) AS a";
inline constexpr std::string_view kFinishedOfMany =
    "SELECT k.event, k.endpoint, f.day, f.state, f.reason, f.attempts_ever"
    " FROM unnest($1::bigint[], $2::bigint[]) AS k(event, endpoint)"
    " CROSS JOIN LATERAL (SELECT day FROM event_block WHERE block = k.event >> 16 OFFSET 0) AS b"
    " CROSS JOIN LATERAL (SELECT day, state, reason, attempts_ever FROM finished WHERE event = k.event AND"
    " endpoint = k.endpoint AND day = b.day OFFSET 0) AS f";
inline constexpr std::string_view kInsertFinished =
    "INSERT INTO finished (event, endpoint, day, state, reason, attempts, attempts_ever, due_at, priority,"
    " error, created_at, finished_at, after_batch)"
    " SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[],"
    " $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[])";
inline constexpr std::string_view kInsertAttempts =
    "INSERT INTO attempt (event, endpoint, day, number, id, started_at, dns, connect, tls, first_byte, total,"
    " outcome, status, error, request_line, response_headers, response_body, remote_address, resent,"
    " after_batch)"
    " SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::uuid[], $6::bigint[],"
    " $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::bigint[],"
    " $14::text[], $15::text[], $16::text[], $17::bytea[], $18::text[], $19::boolean[], $20::bigint[])";
// Of a delivery that had ended when its attempt came back, which is rare.
inline constexpr std::string_view kCountAttempts =
    "UPDATE finished AS f SET attempts_ever = greatest(f.attempts_ever, k.number)"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS k(event, endpoint, day, number)"
    " WHERE f.event = k.event AND f.endpoint = k.endpoint AND f.day = k.day";

}  // namespace outboxd::postgresql::sql
