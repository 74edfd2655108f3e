// Accepting events: from a command or a row of the SQL outbox, and the fan-out that remains of one.
#pragma once

#include <string_view>

namespace outboxd::postgresql::sql {

// OFFSET 0 keeps a subquery what it is: looked up once for each row before it, in the one partition that this row names. Else
// the planner, which may see empty tables yet, turns such a join round at will.
//
// Keys that were used, also if they have expired or their event is gone.
inline constexpr std::string_view kFindKeys =
    "SELECT i.tenant, i.key, i.digest, i.expires_at, i.event, e.id, e.created_at, e.deliveries"
    " FROM unnest($1::text[], $2::text[]) AS k(tenant, key)"
    " CROSS JOIN LATERAL (SELECT * FROM idempotency WHERE tenant = k.tenant AND key = k.key OFFSET 0) AS i"
    " LEFT JOIN LATERAL (SELECT id, created_at, deliveries FROM event WHERE seq = i.event AND day = i.day "
    "OFFSET 0)"
    " AS e ON true";
inline constexpr std::string_view kFindAccepted =
    "SELECT k.n, e.seq, e.id, e.created_at, e.deliveries"
    " FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS k(id, day, n)"
    " JOIN event AS e ON e.id = k.id AND e.day = k.day";
// Whoever deletes them meanwhile waits, or has done so before.
inline constexpr std::string_view kWaitingRows =
    "SELECT seq FROM outbox WHERE seq = ANY($1::bigint[]) AND rejected IS NULL FOR UPDATE";
inline constexpr std::string_view kSourcePlaces =
    "SELECT name, database, relayed, cleared FROM source WHERE name = ANY($1::text[]) FOR UPDATE";
inline constexpr std::string_view kNextNumbers =
    "SELECT nextval('event_seq') FROM generate_series(1, $1::bigint)";
inline constexpr std::string_view kNewestEndpoint = "SELECT coalesce(max(seq), 0) FROM endpoint";

inline constexpr std::string_view kInsertEvents =
    "INSERT INTO event (day, seq, id, tenant, type, payload, content_type, ordering_key, priority, headers,"
    " traceparent, cloud_event, created_at, deliver_at, expires_at, deliveries, checksum)"
    " SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::bytea[],"
    " $7::text[], $8::text[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::bigint[],"
    " $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[])";
inline constexpr std::string_view kInsertBlocks =
    "INSERT INTO event_block (block, day) SELECT * FROM unnest($1::bigint[], $2::bigint[])"
    " ON CONFLICT DO NOTHING";
inline constexpr std::string_view kInsertFanOuts =
    "INSERT INTO fan_out (event, day, after, last)"
    " SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])";
// A key of which another use was found. If somebody else has replaced it meanwhile, the INSERT fails.
inline constexpr std::string_view kDeleteOldKeys =
    "DELETE FROM idempotency AS i USING unnest($1::text[], $2::text[], $3::bigint[]) AS k(tenant, key, event)"
    " WHERE i.tenant = k.tenant AND i.key = k.key AND i.event = k.event";
inline constexpr std::string_view kInsertKeys =
    "INSERT INTO idempotency (tenant, key, event, day, digest, expires_at)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[])";
inline constexpr std::string_view kDeleteRows = "DELETE FROM outbox WHERE seq = ANY($1::bigint[])";
inline constexpr std::string_view kPutPlaces =
    "INSERT INTO source (name, database, relayed, cleared)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])"
    " ON CONFLICT (name) DO UPDATE SET database = excluded.database, relayed = excluded.relayed,"
    " cleared = excluded.cleared";
inline constexpr std::string_view kRejectRow =
    "UPDATE outbox SET rejected = $2, rejected_at = $3 WHERE seq = $1 AND rejected IS NULL";

inline constexpr std::string_view kFanOutOf = "SELECT after, day FROM fan_out WHERE event = $1 FOR UPDATE";
inline constexpr std::string_view kAdvanceFanOut =
    "UPDATE fan_out SET after = greatest(after, $2) WHERE event = $1";
inline constexpr std::string_view kDeleteFanOut = "DELETE FROM fan_out WHERE event = $1";
// Run at the end of a fan-out: endpoints may have changed on the way, so the count is certain only then.
inline constexpr std::string_view kCountEventDeliveries =
    "UPDATE event SET deliveries = (SELECT count(*) FROM pending WHERE event = $1)"
    " + (SELECT count(*) FROM finished WHERE event = $1 AND day = $2) WHERE seq = $1 AND day = $2";
inline constexpr std::string_view kDeliveredTo =
    "SELECT endpoint FROM pending WHERE event = $1 AND endpoint = ANY($2::bigint[])"
    " UNION ALL SELECT endpoint FROM finished WHERE event = $1 AND endpoint = ANY($2::bigint[]) AND day = $3";

}  // namespace outboxd::postgresql::sql
