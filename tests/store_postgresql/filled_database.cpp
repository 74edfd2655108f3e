#include "store_postgresql/filled_database.h"

#include "common/clock.h"

namespace outboxd::test {
namespace {

constexpr std::int64_t kDayMillis = 86'400'000;

// $first: the first day, $n: how many events, $days, $endpoints.
constexpr const char* kFill = R"(
SET synchronous_commit = off;
CREATE FUNCTION pg_temp.ms(i bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
  AS $$ SELECT $first::bigint * 86400000 + i * ($days::bigint * 86400000 / ($n::bigint + 1)) $$;
CREATE FUNCTION pg_temp.v7(ms bigint, i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
  AS $$ SELECT (lpad(to_hex(ms), 12, '0') || '70008000' || lpad(to_hex(i), 12, '0'))::uuid $$;
SELECT make_day(d) FROM generate_series($first, $first + $days) AS d;
INSERT INTO endpoint (seq, id, url, name, tenant, types, secrets, headers, format, state, disabled_reason, metadata,
  created_at, updated_at, ordering, on_failure_in_order, version)
SELECT g, pg_temp.v7($first::bigint * 86400000, g), 'https://example.com/' || g, '', '', '["**"]', '[]', '[]', 'raw', 'active',
  '', '{}', 1, 1, 'none', 'block', g FROM generate_series(1, $endpoints) AS g;
UPDATE directory SET version = $endpoints;
INSERT INTO event (day, seq, id, tenant, type, payload, content_type, priority, created_at, deliveries, checksum)
SELECT pg_temp.ms(i) / 86400000, i, pg_temp.v7(pg_temp.ms(i), i), '', 'order.paid',
  convert_to('{"id": ' || i || ', "text": "' || repeat('x', 150) || '"}', 'UTF8'), 'application/json', 5, pg_temp.ms(i),
  CASE WHEN i % 1000 = 0 THEN 0 ELSE 1 END, 0 FROM generate_series(1, $n::bigint) AS i;
INSERT INTO event_block SELECT DISTINCT seq >> 16, day FROM event;
INSERT INTO pending (event, endpoint, day, due_at, priority, sequence_key, blocked, created_at, expires_at)
SELECT i, 1 + i % $endpoints, pg_temp.ms(i) / 86400000, pg_temp.ms(i), 5 - i % 2, CASE WHEN i % 10 = 3 THEN 'k' || i % 7 END,
  i % 20 = 13, pg_temp.ms(i), CASE WHEN i % 10 = 0 THEN pg_temp.ms(i) + 3600000 END
FROM generate_series($n::bigint * 4 / 5, $n::bigint) AS i;
INSERT INTO finished (day, event, endpoint, state, reason, attempts, attempts_ever, due_at, priority, error, created_at,
  finished_at, after_batch)
SELECT pg_temp.ms(i) / 86400000, i, 1 + i % $endpoints, CASE WHEN i % 50 = 1 THEN 'dead' ELSE 'delivered' END,
  CASE WHEN i % 50 = 1 THEN 'exhausted' END, 1, 1, pg_temp.ms(i), 5, CASE WHEN i % 50 = 1 THEN 'http_5xx' END, pg_temp.ms(i),
  pg_temp.ms(i) + 1000, 0 FROM generate_series(1, $n::bigint * 4 / 5 - 1) AS i;
INSERT INTO attempt (day, event, endpoint, number, id, started_at, total, outcome, status, error, request_line, response_body,
  resent, after_batch)
SELECT pg_temp.ms(i) / 86400000, i, 1 + i % $endpoints, 1, pg_temp.v7(pg_temp.ms(i), i), pg_temp.ms(i), 5,
  CASE WHEN i % 50 = 1 THEN 'http_5xx' ELSE 'success' END, CASE WHEN i % 50 = 1 THEN 503 ELSE 200 END, '', 'POST /', '', false, 0
FROM generate_series(1, $n::bigint * 4 / 5 - 1) AS i;
SELECT setval('event_seq', $n), setval('endpoint_seq', $endpoints);
INSERT INTO counter (slot, day, events, pending, delivered, dead, discarded)
SELECT 99, day, count(*), 0, 0, 0, 0 FROM event GROUP BY day;
INSERT INTO endpoint_count (endpoint, slot, day, pending, delivered, dead, discarded)
SELECT g, 99, $first + d, 1, 1, 1, 1 FROM generate_series(1, $endpoints) AS g, generate_series(0, 6) AS d;
INSERT INTO rollup (span, at, endpoint, type, outcome, status, reason, slot, accepted, attempts, failed, delivered, dead, latency,
  duration, first_at, last_at, last_error)
SELECT 60000, ($first::bigint + $days - 1) * 86400000 + m * 60000, e, 'order.paid',
  CASE WHEN e % 10 = 0 THEN 'timeout' ELSE 'success' END, 0, '', 99, 1, 1, 1, 1, 0, '', '', 1, 1, ''
FROM generate_series(0, 1439) AS m, generate_series(1, 50) AS e;
INSERT INTO outbox (type, payload) SELECT 'order.paid', '{}' FROM generate_series(1, 5000) AS i;
UPDATE outbox SET rejected = 'no', rejected_at = 1 WHERE seq % 2 = 0;
UPDATE sweep SET types_counted = $n - 100, rolled_up = ($first::bigint + $days - 1) * 86400000;
)";

std::string replaced(std::string text, const std::string& what, std::int64_t by) {
  const std::string number = std::to_string(by);
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at))
    text.replace(at, what.size(), number);
  return text;
}

}  // namespace

FilledDatabase::FilledDatabase(postgresql::Connection& db, std::int64_t number_of_events)
    : events(number_of_events), first_day(unix_millis(SystemClock().wall()) / kDayMillis - kDays + 1) {
  std::string script = replaced(kFill, "$first", first_day);
  script = replaced(std::move(script), "$days", kDays);
  script = replaced(std::move(script), "$endpoints", kEndpoints);
  db.execute("SET statement_timeout = 0");
  db.execute(replaced(std::move(script), "$n", number_of_events));
}

Time FilledDatabase::time_of(EventSeq event) const {
  return from_unix_millis(first_day * kDayMillis + event * (kDays * kDayMillis / (events + 1)));
}

namespace {

Uuid v7(Time t, std::int64_t number) {
  Uuid id;
  const auto ms = static_cast<std::uint64_t>(unix_millis(t));
  for (std::size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  id.bytes[6] = 0x70;
  id.bytes[8] = 0x80;
  for (std::size_t i = 0; i < 6; ++i)
    id.bytes[10 + i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(number) >> (40 - 8 * i));
  return id;
}

}  // namespace

EventId FilledDatabase::id_of(EventSeq event) const {
  return EventId{v7(time_of(event), event)};
}

EndpointId FilledDatabase::endpoint_id(EndpointSeq endpoint) const {
  return EndpointId{v7(from_unix_millis(first_day * kDayMillis), endpoint)};
}

}  // namespace outboxd::test
