// Everything else that is read: endpoints, batches, types, the roll-up, the SQL outbox, sources, and status.
#pragma once

#include <string_view>

namespace outboxd::postgresql::sql {

// The columns of read_endpoint (store/endpoint_columns.h).
#define OUTBOXD_ENDPOINT_ROW                                                                   \
  "e.seq, e.id, e.url, e.name, e.tenant, e.types, e.secrets, e.headers, e.format, e.timeout, " \
  "e.retry_schedule, e.max_in_flight, e.state, e.disabled_reason, e.metadata, e.created_at, "  \
  "e.updated_at, e.rate_limit_count, e.rate_limit_per, e.ordering, e.on_failure_in_order, "    \
  "e.failing_since, e.tls, e.filter, e.body_template, e.content_type, e.auth, e.signatures, e.disable_after"
// All at one moment, with the version of the directory. Always a row.
inline constexpr std::string_view kAllEndpoints =
    "SELECT " OUTBOXD_ENDPOINT_ROW
    ", d.version FROM directory AS d LEFT JOIN endpoint AS e ON e.removed_at IS NULL ORDER BY e.seq";
inline constexpr std::string_view kReadEndpoint =
    "SELECT " OUTBOXD_ENDPOINT_ROW " FROM endpoint AS e WHERE id = $1 AND removed_at IS NULL";
inline constexpr std::string_view kEndpointsAfter =
    "SELECT " OUTBOXD_ENDPOINT_ROW
    " FROM endpoint AS e WHERE seq > $1 AND removed_at IS NULL ORDER BY seq LIMIT $2";
inline constexpr std::string_view kEndpointsOfTenantAfter =
    "SELECT " OUTBOXD_ENDPOINT_ROW
    " FROM endpoint AS e WHERE tenant = $3 AND seq > $1 AND removed_at IS NULL ORDER BY seq LIMIT $2";
#undef OUTBOXD_ENDPOINT_ROW
inline constexpr std::string_view kFailingEndpoints =
    "SELECT seq, failing_since FROM endpoint WHERE failing_since IS NOT NULL AND removed_at IS NULL"
    " ORDER BY failing_since, seq LIMIT $1";
inline constexpr std::string_view kEndpointSeqById = "SELECT seq FROM endpoint WHERE id = $1";
// Removed endpoints too: until retention deletes them, their secrets are on the disk.
inline constexpr std::string_view kSecretsToCount =
    "SELECT seq, secrets FROM endpoint WHERE seq > $1 ORDER BY seq LIMIT $2";

// The columns of read_batch (store/rows.h).
#define OUTBOXD_BATCH                                                                              \
  "SELECT number, id, action, filter, rate, reason, who, state, matched, counted::integer, done, " \
  "skipped, last_event, last_endpoint, place, created_at, finished_at FROM batch "
inline constexpr std::string_view kReadBatch = OUTBOXD_BATCH "WHERE id = $1";
inline constexpr std::string_view kBatchesBefore =
    OUTBOXD_BATCH "WHERE number < $1 ORDER BY number DESC LIMIT $2";
inline constexpr std::string_view kBatchesRunning =
    OUTBOXD_BATCH "WHERE state = 'running' ORDER BY number LIMIT $1";
#undef OUTBOXD_BATCH

// What is counted by type, and the events that are not counted yet, at one moment: tenant, type, events, last_at, and the
// id of an event that is not counted.
#define OUTBOXD_UNCOUNTED_TYPES                                                                           \
  " UNION ALL (SELECT tenant, type, 1, 0, id FROM event WHERE seq > (SELECT types_counted FROM sweep)"    \
  " AND day >= (SELECT min(day) FROM event_block WHERE block >= (SELECT types_counted FROM sweep) >> 16)" \
  " ORDER BY seq LIMIT $4)"
inline constexpr std::string_view kEventTypesAfter =
    "(SELECT tenant, type, events, last_at, NULL::uuid FROM event_type WHERE (tenant, type) > ($1, $2)"
    " ORDER BY tenant, type LIMIT $3)" OUTBOXD_UNCOUNTED_TYPES;
inline constexpr std::string_view kEventTypesOfTenantAfter =
    "(SELECT tenant, type, events, last_at, NULL::uuid FROM event_type WHERE tenant = $1 AND type > $2"
    " ORDER BY type LIMIT $3)" OUTBOXD_UNCOUNTED_TYPES;
#undef OUTBOXD_UNCOUNTED_TYPES

// The columns of read_rollup (store/rows.h), then the endpoint's id and tenant.
#define OUTBOXD_ROLLUP_ROW                                                                             \
  "SELECT r.at, r.endpoint, r.type, r.outcome, r.status, r.reason, r.accepted, r.attempts, r.failed, " \
  "r.delivered, r.dead, r.latency, r.duration, r.first_at, r.last_at, r.last_error"
// Of endpoint $4, each span of length $1 from $2 to $3, by a seek for each.
inline constexpr std::string_view kRollupOfEndpointIn = OUTBOXD_ROLLUP_ROW
    " FROM generate_series($2, $3 - 1, $1) AS s(at) CROSS JOIN LATERAL (SELECT * FROM rollup WHERE span = $1 "
    "AND at = s.at AND endpoint = $4 OFFSET 0) AS r";
inline constexpr std::string_view kRollupFailing = OUTBOXD_ROLLUP_ROW
    ", p.id, p.tenant FROM rollup AS r LEFT JOIN LATERAL (SELECT id, tenant FROM endpoint WHERE seq = "
    "r.endpoint OFFSET 0) AS p ON true"
    " WHERE r.span = $1 AND r.at >= $2 AND r.at < $3 AND r.outcome <> 'success'";
#undef OUTBOXD_ROLLUP_ROW
inline constexpr std::string_view kRolledUp = "SELECT rolled_up FROM sweep";

// seq, type, payload, whether it is text, tenant, content_type, ordering_key, idempotency_key, headers, deliver_at,
// expires_at, traceparent, priority, rejected, rejected_at.
#define OUTBOXD_OUTBOX_ROW                                                                               \
  "seq, type, coalesce(payload_bytes, convert_to(payload::text, 'UTF8')) AS payload, (payload_bytes IS " \
  "NULL)::integer, tenant, content_type, ordering_key, idempotency_key, headers::text, deliver_at, "     \
  "expires_at, traceparent, priority, rejected, rejected_at"
// From row $1 on, up to $2 rows and $3 bytes of payload, but for the first.
inline constexpr std::string_view kOutboxWaiting =
    "SELECT " OUTBOXD_OUTBOX_ROW
    " FROM (SELECT *, row_number() OVER w AS place, sum(octet_length(coalesce(payload_bytes, "
    "convert_to(payload::text, 'UTF8')))) OVER w AS total FROM (SELECT * FROM outbox WHERE rejected IS NULL "
    "AND "
    "seq >= $1 ORDER BY seq LIMIT $2) AS waiting WINDOW w AS (ORDER BY seq)) AS o"
    " WHERE place = 1 OR total <= $3 ORDER BY seq";
inline constexpr std::string_view kOutboxRejectedBefore =
    "SELECT " OUTBOXD_OUTBOX_ROW
    " FROM outbox WHERE rejected IS NOT NULL AND seq < $1 ORDER BY seq DESC LIMIT $2";
inline constexpr std::string_view kOutboxRejectedRow =
    "SELECT " OUTBOXD_OUTBOX_ROW " FROM outbox WHERE rejected IS NOT NULL AND seq = $1";
#undef OUTBOXD_OUTBOX_ROW

inline constexpr std::string_view kReadSourcePlace =
    "SELECT database, relayed, cleared FROM source WHERE name = $1";

// Counts of deliveries by state and of events; rejected rows, counted up to $1; bytes; the schema's version; then the figures
// of a server (StoreStatus::figures). What other roles do a role without privileges does not see: that a commit waits for a
// standby it is told all the same.
inline constexpr std::string_view kStatus =
    "SELECT coalesce(sum(pending), 0)::bigint, coalesce(sum(delivered), 0)::bigint, coalesce(sum(dead), "
    "0)::bigint, coalesce(sum(discarded), 0)::bigint, coalesce(sum(events), 0)::bigint,"
    " (SELECT count(*) FROM (SELECT FROM outbox WHERE rejected IS NOT NULL ORDER BY seq LIMIT $1) AS r),"
    " pg_database_size(current_database()), (SELECT schema_version FROM installation),"
    " (SELECT CASE current_setting('synchronous_standby_names') WHEN '' THEN 0 ELSE greatest(1, count(*)) END"
    " FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')),"
    " (SELECT coalesce(floor(extract(epoch FROM clock_timestamp() - min(xact_start))), 0)::bigint"
    " FROM pg_stat_activity WHERE backend_xmin IS NOT NULL OR backend_xid IS NOT NULL),"
    " (SELECT coalesce(max(n_dead_tup), 0) FROM pg_stat_user_tables WHERE relid = 'pending'::regclass),"
    " (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()),"
    " (SELECT count(*) FROM pg_replication_slots WHERE NOT active) FROM counter";
// Those that take part: token, name, address, joined_at, for how long nothing was heard of it, how many partitions it owns.
inline constexpr std::string_view kStoreMembers =
    "SELECT m.token, m.name, m.address, m.joined_at, greatest(clock_millis() - m.heartbeat_at, 0),"
    " (SELECT count(*) FROM partition_owner AS o WHERE o.token = m.token)"
    " FROM member AS m WHERE NOT m.fenced ORDER BY m.name, m.joined_at";

}  // namespace outboxd::postgresql::sql
