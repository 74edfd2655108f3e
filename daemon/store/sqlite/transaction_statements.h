// Transactions, and what is counted in them.
#pragma once

#include <string_view>

namespace outboxd::sqlite::sql {

// IMMEDIATE, because other processes write too: a transaction that first reads and then cannot get the write lock would
// have to be rolled back.
inline constexpr std::string_view kBegin = "BEGIN IMMEDIATE";
inline constexpr std::string_view kCommit = "COMMIT";
inline constexpr std::string_view kRollback = "ROLLBACK";
inline constexpr std::string_view kBeginRead = "BEGIN";

inline constexpr std::string_view kReadCounter =
    "SELECT event_seq, endpoint_seq, events, pending, delivered, dead, discarded, due_ahead, due_last, "
    "batches FROM counter WHERE one = 1";
inline constexpr std::string_view kAddToCounter =
    "UPDATE counter SET event_seq = ?1, endpoint_seq = ?2, events = events + ?3, pending = pending + ?4,"
    " delivered = delivered + ?5, dead = dead + ?6, discarded = discarded + ?7, due_ahead = ?8, due_last = "
    "?9,"
    " batches = ?10 WHERE one = 1";
inline constexpr std::string_view kAddToEndpointCount =
    "INSERT INTO endpoint_count (endpoint, pending, delivered, dead, discarded) VALUES (?1, ?2, ?3, ?4, ?5)"
    " ON CONFLICT (endpoint) DO UPDATE SET pending = pending + excluded.pending, delivered = delivered + "
    "excluded.delivered, dead = dead + excluded.dead, discarded = discarded + excluded.discarded";
inline constexpr std::string_view kReadEndpointCount =
    "SELECT pending, delivered, dead, discarded FROM endpoint_count WHERE endpoint = ?1";
inline constexpr std::string_view kEndpointCountsAfter =
    "SELECT endpoint, pending, delivered, dead, discarded FROM endpoint_count WHERE endpoint > ?1"
    " ORDER BY endpoint LIMIT ?2";

}  // namespace outboxd::sqlite::sql
