// Endpoints: written by the EndpointWriter and the SecretsWriter.
#pragma once

#include <string_view>

namespace outboxd::postgresql::sql {

#define OUTBOXD_ENDPOINT_COLUMNS                                                                           \
  "seq, id, url, name, tenant, types, secrets, headers, format, timeout, retry_schedule, max_in_flight,"   \
  " state, disabled_reason, metadata, created_at, updated_at, rate_limit_count, rate_limit_per, ordering," \
  " on_failure_in_order, failing_since, tls, filter, body_template, content_type, auth, signatures,"       \
  " disable_after"
inline constexpr std::string_view kInsertEndpoint =
    "INSERT INTO endpoint (" OUTBOXD_ENDPOINT_COLUMNS
    ", version) VALUES (nextval('endpoint_seq'), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
    " $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29) RETURNING seq";
inline constexpr std::string_view kUpdateEndpoint =
    "UPDATE endpoint SET url = $2, name = $3, tenant = $4, types = $5, secrets = $6, headers = $7, format = "
    "$8,"
    " timeout = $9, retry_schedule = $10, max_in_flight = $11, metadata = $12, updated_at = $13,"
    " rate_limit_count = $14, rate_limit_per = $15, ordering = $16, on_failure_in_order = $17,"
    " failing_since = $18, tls = $19, filter = $20, body_template = $21, content_type = $22, auth = $23,"
    " signatures = $24, disable_after = $25, version = $26 WHERE seq = $1";
inline constexpr std::string_view kEndpointToChange =
    "SELECT " OUTBOXD_ENDPOINT_COLUMNS " FROM endpoint WHERE id = $1 AND removed_at IS NULL FOR UPDATE";
// Removed ones too, while retention keeps them.
inline constexpr std::string_view kEndpointEver =
    "SELECT " OUTBOXD_ENDPOINT_COLUMNS " FROM endpoint WHERE id = $1";
#undef OUTBOXD_ENDPOINT_COLUMNS
// What was changed after a version, up to another.
inline constexpr std::string_view kChangedEndpoints =
    "SELECT version, seq, id, removed_at IS NOT NULL FROM endpoint WHERE version > $1 AND version <= $2"
    " ORDER BY version LIMIT $3";
inline constexpr std::string_view kEndpointByName =
    "SELECT seq, id FROM endpoint WHERE tenant = $1 AND name = $2 AND name <> '' AND removed_at IS NULL";

inline constexpr std::string_view kSetEndpointState =
    "UPDATE endpoint SET state = $2, disabled_reason = $3, updated_at = $4, failing_since = $5, version = $6"
    " WHERE seq = $1";
inline constexpr std::string_view kSetFailingSince =
    "UPDATE endpoint SET failing_since = $2 WHERE seq = $1 AND removed_at IS NULL";
inline constexpr std::string_view kRemoveEndpoint =
    "UPDATE endpoint SET removed_at = $2, discarding = true, version = $3 WHERE seq = $1";

// Its lock lets one daemon at a time discard what is left of an endpoint.
inline constexpr std::string_view kDiscardingEndpoint =
    "SELECT seq FROM endpoint WHERE discarding ORDER BY seq LIMIT 1 FOR UPDATE";
inline constexpr std::string_view kEndDiscarding = "UPDATE endpoint SET discarding = false WHERE seq = $1";
#define OUTBOXD_DISCARD_SOME(CONDITION)                                                                \
  "WITH chosen AS MATERIALIZED (SELECT event FROM pending WHERE endpoint = $1 AND " CONDITION          \
  " LIMIT $2 FOR UPDATE),"                                                                             \
  " gone AS (DELETE FROM pending AS p USING chosen WHERE p.event = chosen.event AND p.endpoint = $1"   \
  " RETURNING p.*), kept AS (INSERT INTO finished (day, event, endpoint, state, reason, attempts,"     \
  " attempts_ever, due_at, priority, error, created_at, finished_at, after_batch)"                     \
  " SELECT day, event, endpoint, 'discarded', NULL, attempts, attempts_ever, due_at, priority, error," \
  " created_at, $3, $4 FROM gone RETURNING day) SELECT day, count(*) FROM kept GROUP BY day ORDER BY day"
inline constexpr std::string_view kDiscardSome = OUTBOXD_DISCARD_SOME("NOT blocked");
inline constexpr std::string_view kDiscardSomeBlocked = OUTBOXD_DISCARD_SOME("blocked");
#undef OUTBOXD_DISCARD_SOME

// Removed endpoints too: until retention deletes them, their secrets are in the table.
inline constexpr std::string_view kSecretsToEncrypt =
    "SELECT seq, id, secrets FROM endpoint WHERE seq > $1 ORDER BY seq LIMIT $2 FOR UPDATE";
inline constexpr std::string_view kSetSecrets =
    "UPDATE endpoint AS e SET secrets = u.secrets FROM unnest($1::bigint[], $2::text[]) AS u(seq, secrets)"
    " WHERE e.seq = u.seq";

}  // namespace outboxd::postgresql::sql
