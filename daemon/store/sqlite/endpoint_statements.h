// Endpoints: written by the EndpointWriter, read by the Reader.
#pragma once

#include <string_view>

namespace outboxd::sqlite::sql {

#define OUTBOXD_ENDPOINT_COLUMNS                                                                          \
  "seq, id, url, name, tenant, types, secrets, headers, format, timeout, retry_schedule, max_in_flight, " \
  "state,"                                                                                                \
  " disabled_reason, metadata, created_at, updated_at, rate_limit_count, rate_limit_per, ordering, "      \
  "on_failure_in_order, failing_since, tls, filter, body_template, content_type, auth, signatures, "      \
  "disable_after"
inline constexpr std::string_view kInsertEndpoint =
    "INSERT INTO endpoint (" OUTBOXD_ENDPOINT_COLUMNS
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
    "?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)";
inline constexpr std::string_view kUpdateEndpoint =
    "UPDATE endpoint SET url = ?2, name = ?3, tenant = ?4, types = ?5, secrets = ?6, headers = ?7, format = "
    "?8, timeout = ?9,"
    " retry_schedule = ?10, max_in_flight = ?11, metadata = ?12, updated_at = ?13,"
    " rate_limit_count = ?14, rate_limit_per = ?15, ordering = ?16, on_failure_in_order = ?17, tls = ?18, "
    "filter = ?19, body_template = ?20, content_type = ?21, auth = ?22, signatures = ?23, disable_after = "
    "?24 "
    "WHERE seq = ?1";
inline constexpr std::string_view kEndpointById =
    "SELECT " OUTBOXD_ENDPOINT_COLUMNS " FROM endpoint WHERE id = ?1 AND removed_at IS NULL";
// Removed ones too, while retention keeps them.
inline constexpr std::string_view kEndpointByIdEver =
    "SELECT " OUTBOXD_ENDPOINT_COLUMNS " FROM endpoint WHERE id = ?1";
inline constexpr std::string_view kEndpointsAfter =
    "SELECT " OUTBOXD_ENDPOINT_COLUMNS
    " FROM endpoint WHERE seq > ?1 AND removed_at IS NULL ORDER BY seq LIMIT ?2";
inline constexpr std::string_view kEndpointsOfTenantAfter =
    "SELECT " OUTBOXD_ENDPOINT_COLUMNS
    " FROM endpoint WHERE tenant = ?1 AND seq > ?2 AND removed_at IS NULL ORDER BY seq LIMIT ?3";
#undef OUTBOXD_ENDPOINT_COLUMNS
inline constexpr std::string_view kEndpointLives =
    "SELECT 1 FROM endpoint WHERE seq = ?1 AND removed_at IS NULL";
inline constexpr std::string_view kEndpointByName =
    "SELECT seq, id FROM endpoint WHERE tenant = ?1 AND name = ?2 AND name != '' AND removed_at IS NULL";
inline constexpr std::string_view kEndpointSeqById = "SELECT seq FROM endpoint WHERE id = ?1";
inline constexpr std::string_view kEndpointOrdering =
    "SELECT ordering FROM endpoint WHERE seq = ?1 AND removed_at IS NULL";

inline constexpr std::string_view kSetEndpointState =
    "UPDATE endpoint SET state = ?2, disabled_reason = ?3, updated_at = ?4, failing_since = ?5 WHERE seq = "
    "?1";
inline constexpr std::string_view kSetFailingSince =
    "UPDATE endpoint SET failing_since = ?2 WHERE seq = ?1 AND removed_at IS NULL";
// Removed endpoints too: until retention deletes them, their secrets are on the disk.
inline constexpr std::string_view kSecretsAfter =
    "SELECT seq, id, secrets FROM endpoint WHERE seq > ?1 ORDER BY seq LIMIT ?2";
inline constexpr std::string_view kSetSecrets = "UPDATE endpoint SET secrets = ?2 WHERE seq = ?1";

inline constexpr std::string_view kRemoveEndpoint =
    "UPDATE endpoint SET removed_at = ?2, discarding = 1 WHERE seq = ?1";
inline constexpr std::string_view kDiscardingEndpoint =
    "SELECT seq FROM endpoint WHERE discarding = 1 ORDER BY seq LIMIT 1";
inline constexpr std::string_view kPendingOfEndpoint =
    "SELECT event FROM delivery INDEXED BY delivery_pending WHERE endpoint = ?1 AND state = 'pending' AND "
    "behind = 0 LIMIT ?2";
inline constexpr std::string_view kPendingInOrderOfEndpoint =
    "SELECT event FROM delivery INDEXED BY delivery_in_order WHERE endpoint = ?1 AND state = 'pending' AND "
    "order_key IS NOT NULL LIMIT ?2";
inline constexpr std::string_view kEndDiscarding = "UPDATE endpoint SET discarding = 0 WHERE seq = ?1";

}  // namespace outboxd::sqlite::sql
