// How this store gives and takes the rows of a copy (store/copy.h): what is one table there may be several here.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace outboxd::postgresql::sql {

// Instead of a table, what its rows are selected from.
inline constexpr std::string_view kRowsOfDelivery = R"(
    (SELECT event, endpoint, 'pending' AS state, NULL::text AS reason, attempts, attempts_ever, due_at,
    priority, blocked, sequence_key, error, created_at, NULL::bigint AS finished_at, expires_at, after_batch
    FROM pending UNION ALL SELECT event, endpoint, state, reason, attempts, attempts_ever, due_at, priority,
    false, NULL, error, created_at, finished_at, NULL, after_batch FROM finished) AS delivery)";
inline constexpr std::string_view kRowsOfOutbox = R"(
    (SELECT seq, type, coalesce(convert_to(payload::text, 'UTF8'), payload_bytes) AS payload, tenant,
    content_type, ordering_key, idempotency_key, deliver_at, expires_at, priority, headers::text AS headers,
    traceparent, rejected, rejected_at FROM outbox) AS outbox)";
inline const std::map<std::string_view, std::string_view> kCopiedFrom{
    {"delivery", kRowsOfDelivery},
    {"outbox", kRowsOfOutbox},
};

// `r` is a JSON array of arrays, the columns in the order of the copy; bytes are in hex. A column is an element. It is
// jsonb, which is parsed once; of json all of the row would be read for each of its columns.
//
// The day of what belongs to an event is that of the event.
// Makes the days of the events, before they are put there.
inline constexpr std::string_view kMakeDays = R"(
    WITH rows AS (SELECT r, (('x' || left(r->>1, 12))::bit(48)::bigint / 86400000)::integer AS day FROM
    jsonb_array_elements($1::jsonb) AS r), days AS (SELECT make_day(day) FROM (SELECT DISTINCT day FROM rows)
    AS d) SELECT count(*) FROM days)";
inline constexpr std::string_view kPutDelivery = R"(
    WITH rows AS (SELECT r, e.day FROM jsonb_array_elements($1::jsonb) AS r JOIN event e ON e.seq =
    (r->>0)::bigint), ended AS (INSERT INTO finished (day, event, endpoint, state, reason, attempts,
    attempts_ever, due_at, priority, error, created_at, finished_at, after_batch) SELECT day,
    (r->>0)::bigint, (r->>1)::bigint, r->>2, r->>3, (r->>4)::integer, (r->>5)::integer, (r->>6)::bigint,
    (r->>7)::smallint, r->>10, (r->>11)::bigint, (r->>12)::bigint, (r->>14)::bigint FROM rows WHERE r->>2 <>
    'pending') INSERT INTO pending (event, endpoint, day, due_at, priority, attempts, attempts_ever,
    blocked, sequence_key, error, created_at, expires_at, after_batch) SELECT (r->>0)::bigint,
    (r->>1)::bigint, day, (r->>6)::bigint, (r->>7)::smallint, (r->>4)::integer, (r->>5)::integer,
    (r->>8)::integer::boolean, r->>9, r->>10, (r->>11)::bigint, (r->>13)::bigint, (r->>14)::bigint FROM rows
    WHERE r->>2 = 'pending')";
inline constexpr std::string_view kPutAttempt = R"(
    INSERT INTO attempt (day, event, endpoint, number, id, started_at, dns, connect, tls, first_byte, total,
    outcome, status, error, request_line, response_headers, response_body, remote_address, resent,
    after_batch) SELECT e.day, (r->>0)::bigint, (r->>1)::bigint, (r->>2)::integer, (r->>3)::uuid,
    (r->>4)::bigint, (r->>5)::bigint, (r->>6)::bigint, (r->>7)::bigint, (r->>8)::bigint, (r->>9)::bigint,
    r->>10, (r->>11)::integer, r->>12, r->>13, r->>14, decode(r->>15, 'hex'), r->>16,
    (r->>17)::integer::boolean, (r->>18)::bigint FROM jsonb_array_elements($1::jsonb) AS r JOIN event e ON
    e.seq = (r->>0)::bigint)";
inline constexpr std::string_view kPutEndpoint = R"(
    INSERT INTO endpoint (seq, id, url, name, tenant, types, secrets, headers, format, timeout,
    retry_schedule, max_in_flight, state, disabled_reason, metadata, created_at, updated_at,
    rate_limit_count, rate_limit_per, ordering, on_failure_in_order, failing_since, tls, filter,
    body_template, content_type, auth, signatures, disable_after, removed_at, discarding, version) SELECT
    (r->>0)::bigint, (r->>1)::uuid, r->>2, r->>3, r->>4, r->>5, r->>6, r->>7, r->>8, (r->>9)::bigint,
    r->>10, (r->>11)::integer, r->>12, r->>13, r->>14, (r->>15)::bigint, (r->>16)::bigint, (r->>17)::bigint,
    (r->>18)::bigint, r->>19, r->>20, (r->>21)::bigint, r->>22, r->>23, r->>24, r->>25, r->>26, r->>27,
    (r->>28)::bigint, (r->>29)::bigint, (r->>30)::integer::boolean, (r->>0)::bigint FROM
    jsonb_array_elements($1::jsonb) AS r)";
inline constexpr std::string_view kPutIdempotency = R"(
    INSERT INTO idempotency (tenant, key, event, day, digest, expires_at) SELECT r->>0, r->>1,
    (r->>2)::bigint, coalesce(e.day, 0), decode(r->>3, 'hex'), (r->>4)::bigint FROM
    jsonb_array_elements($1::jsonb) AS r LEFT JOIN event e ON e.seq = (r->>2)::bigint)";
inline constexpr std::string_view kPutFanOut = R"(
    INSERT INTO fan_out (event, day, after, last) SELECT e.seq, e.day, (r->>1)::bigint, (r->>2)::bigint FROM
    jsonb_array_elements($1::jsonb) AS r JOIN event e ON e.seq = (r->>0)::bigint)";
inline constexpr std::string_view kPutBatch = R"(
    INSERT INTO batch (number, id, action, filter, rate, reason, who, state, matched, counted, done,
    skipped, last_event, last_endpoint, place, created_at, finished_at) SELECT (r->>0)::bigint,
    (r->>1)::uuid, r->>2, r->>3, r->>4, r->>5, r->>6, r->>7, (r->>8)::bigint, (r->>9)::integer::boolean,
    (r->>10)::bigint, (r->>11)::bigint, (r->>12)::bigint, (r->>13)::bigint, r->>14, (r->>15)::bigint,
    (r->>16)::bigint FROM jsonb_array_elements($1::jsonb) AS r)";
inline constexpr std::string_view kPutEventType = R"(
    INSERT INTO event_type (tenant, type, events, last_at) SELECT r->>0, r->>1, (r->>2)::bigint,
    (r->>3)::bigint FROM jsonb_array_elements($1::jsonb) AS r)";
inline constexpr std::string_view kPutRollup = R"(
    INSERT INTO rollup (span, at, endpoint, type, outcome, status, reason, slot, accepted, attempts, failed,
    delivered, dead, latency, duration, first_at, last_at, last_error) SELECT (r->>0)::bigint,
    (r->>1)::bigint, (r->>2)::bigint, r->>3, r->>4, (r->>5)::integer, r->>6, 0, (r->>7)::bigint,
    (r->>8)::bigint, (r->>9)::bigint, (r->>10)::bigint, (r->>11)::bigint, decode(r->>12, 'hex'),
    decode(r->>13, 'hex'), (r->>14)::bigint, (r->>15)::bigint, r->>16 FROM jsonb_array_elements($1::jsonb) AS
    r)";
inline constexpr std::string_view kPutSource = R"(
    INSERT INTO source (name, database, relayed, cleared) SELECT r->>0, r->>1, (r->>2)::bigint,
    (r->>3)::bigint FROM jsonb_array_elements($1::jsonb) AS r)";
// An element more: whether the payload is JSON.
inline constexpr std::string_view kPutOutbox = R"(
    INSERT INTO outbox (seq, type, payload, payload_bytes, tenant, content_type, ordering_key,
    idempotency_key, deliver_at, expires_at, priority, headers, traceparent, rejected, rejected_at)
    OVERRIDING SYSTEM VALUE SELECT (r->>0)::bigint, r->>1, CASE WHEN (r->>14)::boolean THEN
    convert_from(decode(r->>2, 'hex'), 'UTF8')::json END, CASE WHEN NOT (r->>14)::boolean THEN decode(r->>2,
    'hex') END, r->>3, r->>4, r->>5, r->>6, r->>7, r->>8, (r->>9)::integer, (r->>10)::json, r->>11, r->>12,
    (r->>13)::bigint FROM jsonb_array_elements($1::jsonb) AS r)";
// And where the events of a block of numbers are.
inline constexpr std::string_view kPutEvent = R"(
    WITH rows AS (SELECT r, (('x' || left(r->>1, 12))::bit(48)::bigint / 86400000)::integer AS day FROM
    jsonb_array_elements($1::jsonb) AS r), blocks AS (INSERT INTO event_block (block, day) SELECT DISTINCT
    (r->>0)::bigint >> 16, day FROM rows ON CONFLICT DO NOTHING) INSERT INTO event (day, seq, id, tenant,
    type, payload, content_type, ordering_key, priority, headers, traceparent, cloud_event, created_at,
    deliver_at, expires_at, deliveries, checksum, payload_erased_at) SELECT day, (r->>0)::bigint,
    (r->>1)::uuid, r->>2, r->>3, decode(r->>4, 'hex'), r->>5, r->>6, (r->>7)::smallint, r->>8, r->>9,
    r->>10, (r->>11)::bigint, (r->>12)::bigint, (r->>13)::bigint, (r->>14)::bigint, (r->>15)::bigint,
    (r->>16)::bigint FROM rows)";
inline const std::map<std::string_view, std::string_view> kCopiedInto{
    {"event", kPutEvent},       {"delivery", kPutDelivery},       {"attempt", kPutAttempt},
    {"endpoint", kPutEndpoint}, {"idempotency", kPutIdempotency}, {"fan_out", kPutFanOut},
    {"batch", kPutBatch},       {"event_type", kPutEventType},    {"rollup", kPutRollup},
    {"source", kPutSource},     {"outbox", kPutOutbox},
};
// What is counted, and where sweeps and numbers go on. No daemon has slot 0 now; its rows are gone on with by who gets it.
inline constexpr std::string_view kCountCopied = R"(
    TRUNCATE counter, endpoint_count; INSERT INTO endpoint_count (endpoint, slot, day, pending, delivered,
    dead, discarded) SELECT endpoint, 0, day, count(*) FILTER (WHERE state = 'pending'), count(*) FILTER
    (WHERE state = 'delivered'), count(*) FILTER (WHERE state = 'dead'), count(*) FILTER (WHERE state =
    'discarded') FROM (SELECT endpoint, day, 'pending' AS state FROM pending UNION ALL SELECT endpoint, day,
    state FROM finished) AS d GROUP BY endpoint, day; INSERT INTO counter (slot, day, events, pending,
    delivered, dead, discarded) SELECT 0, day, sum(events), sum(pending), sum(delivered), sum(dead),
    sum(discarded) FROM (SELECT day, count(*) AS events, 0 AS pending, 0 AS delivered, 0 AS dead, 0 AS
    discarded FROM event GROUP BY day UNION ALL SELECT day, 0, pending, delivered, dead, discarded FROM
    endpoint_count) AS c GROUP BY day; UPDATE sweep SET event_types = (SELECT count(*) FROM event_type);
    UPDATE directory SET version = (SELECT coalesce(max(version), 0) FROM endpoint); SELECT
    setval(pg_get_serial_sequence('outbox', 'seq'), max(seq)) FROM outbox HAVING count(*) > 0)";

}  // namespace outboxd::postgresql::sql
