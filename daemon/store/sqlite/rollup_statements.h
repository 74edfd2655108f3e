// The roll-up (store/rollup.h): counted by the writer, added up to hours, swept, and read.
#pragma once

#include <string_view>

namespace outboxd::sqlite::sql {

inline constexpr std::string_view kPutRollup =
    "INSERT INTO rollup (span, at, endpoint, type, outcome, status, reason, accepted, attempts, failed, "
    "delivered,"
    " dead, latency, duration, first_at, last_at, last_error)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    " ON CONFLICT DO UPDATE SET accepted = ?8, attempts = ?9, failed = ?10, delivered = ?11, dead = ?12,"
    " latency = ?13, duration = ?14, first_at = ?15, last_at = ?16, last_error = ?17";

#define OUTBOXD_ROLLUP_ROW                                                                            \
  "SELECT at, endpoint, type, outcome, status, reason, accepted, attempts, failed, delivered, dead, " \
  "latency, duration,"                                                                                \
  " first_at, last_at, last_error FROM rollup "
inline constexpr std::string_view kRollupOfSpan = OUTBOXD_ROLLUP_ROW "WHERE span = ?1 AND at = ?2";
inline constexpr std::string_view kRollupOfEndpoint =
    OUTBOXD_ROLLUP_ROW "WHERE span = ?1 AND at = ?2 AND endpoint = ?3";
inline constexpr std::string_view kRollupFailing = OUTBOXD_ROLLUP_ROW
    "INDEXED BY rollup_failing WHERE span = ?1 AND at >= ?2 AND at < ?3 AND outcome <> 'success'";
#undef OUTBOXD_ROLLUP_ROW

inline constexpr std::string_view kNextRollup =
    "SELECT at FROM rollup WHERE span = ?1 AND at >= ?2 AND at < ?3 ORDER BY at LIMIT 1";
inline constexpr std::string_view kDeleteRollup = "DELETE FROM rollup WHERE span = ?1 AND at = ?2";
inline constexpr std::string_view kRolledUp = "SELECT rolled_up FROM counter WHERE one = 1";
inline constexpr std::string_view kSetRolledUp = "UPDATE counter SET rolled_up = ?1 WHERE one = 1";
inline constexpr std::string_view kEndpointIdentity = "SELECT id, tenant FROM endpoint WHERE seq = ?1";

}  // namespace outboxd::sqlite::sql
