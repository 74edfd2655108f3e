// The relay's statements for the outbox in an application's own file. Of the table's columns, list_statements.h knows all.
#pragma once

#include <string_view>

namespace outboxd::sqlite::sql {

inline constexpr std::string_view kSourceIdentity =
    "SELECT lower(hex(database)), max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0),"
    " coalesce((SELECT max(seq) FROM outbox), 0))"
    " FROM outbox_source WHERE one = 1";
// The lowest number of all stands for "before all". The indexes are named, because after the rows that wait there may be any number of rejected ones.
inline constexpr std::string_view kSourceRowsAfter =
    "SELECT seq FROM outbox INDEXED BY outbox_waiting WHERE rejected IS NULL AND seq >= ?1"
    " AND (seq > ?1 OR ?1 = -9223372036854775808) ORDER BY seq LIMIT ?2";
inline constexpr std::string_view kSourceRejectedAfter =
    "SELECT seq FROM outbox INDEXED BY outbox_rejected WHERE rejected IS NOT NULL AND seq > ?1 ORDER BY seq "
    "LIMIT 1";
inline constexpr std::string_view kSourceReject =
    "UPDATE outbox SET rejected = ?2, rejected_at = ?3 WHERE seq = ?1 AND rejected IS NULL";
inline constexpr std::string_view kSourceToClear =
    "SELECT max(seq), count(*) FROM (SELECT seq FROM outbox WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT "
    "?3)";
inline constexpr std::string_view kSourceClear = "DELETE FROM outbox WHERE seq > ?1 AND seq <= ?2";
inline constexpr std::string_view kSourceCountWaiting =
    "SELECT count(*) FROM (SELECT 1 FROM outbox INDEXED BY outbox_waiting WHERE rejected IS NULL LIMIT ?1)";
inline constexpr std::string_view kSourceCountRejected =
    "SELECT count(*) FROM (SELECT 1 FROM outbox INDEXED BY outbox_rejected WHERE rejected IS NOT NULL LIMIT "
    "?1)";

}  // namespace outboxd::sqlite::sql
