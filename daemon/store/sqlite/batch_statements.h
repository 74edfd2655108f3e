// Batches: made, stepped and ended by the BatchWriter, listed by the Reader; and what they find (migration 0009).
#pragma once

#include <string_view>

namespace outboxd::sqlite::sql {

#define OUTBOXD_BATCH                                                                              \
  "SELECT number, id, action, filter, rate, reason, who, state, matched, counted, done, skipped, " \
  "last_event, "                                                                                   \
  "last_endpoint, place, created_at, finished_at FROM batch "
inline constexpr std::string_view kBatchById = OUTBOXD_BATCH "WHERE id = ?1";
inline constexpr std::string_view kBatchesBefore =
    OUTBOXD_BATCH "WHERE number < ?1 ORDER BY number DESC LIMIT ?2";
inline constexpr std::string_view kRunningBatches =
    OUTBOXD_BATCH "INDEXED BY batch_running WHERE state = 'running' AND number > ?1 ORDER BY number LIMIT ?2";
#undef OUTBOXD_BATCH
inline constexpr std::string_view kInsertBatch =
    "INSERT INTO batch (number, id, action, filter, rate, reason, who, state, matched, counted, last_event, "
    "last_endpoint, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'running', ?8, ?9, ?10, ?11, ?12)";
inline constexpr std::string_view kUpdateBatch =
    "UPDATE batch SET state = ?2, matched = ?3, counted = ?4, done = ?5, skipped = ?6, place = ?7, "
    "finished_at = ?8 WHERE number = ?1";
inline constexpr std::string_view kEndedBatches =
    "SELECT number FROM batch INDEXED BY batch_finished WHERE finished_at IS NOT NULL AND finished_at < ?1 "
    "ORDER BY finished_at LIMIT ?2";
inline constexpr std::string_view kDeleteBatch = "DELETE FROM batch WHERE number = ?1";

// With ?3 the number of a batch: the last attempt that was recorded before it was made.
inline constexpr std::string_view kLastAttemptBefore =
    "SELECT outcome, status FROM attempt WHERE event = ?1 AND endpoint = ?2 AND coalesce(after_batch, 0) < "
    "?3 "
    "ORDER BY number DESC LIMIT 1";
// Events for a replay, with what became of each at one endpoint (0: none).
inline constexpr std::string_view kEventsToReplay =
    "SELECT e.seq, e.tenant, e.type, e.created_at, d.state, coalesce(d.after_batch, 0),"
    " EXISTS (SELECT 1 FROM attempt AS a WHERE a.event = e.seq AND a.endpoint = ?3 AND a.outcome = "
    "'success'), e.id"
    " FROM event AS e LEFT JOIN delivery AS d ON d.event = e.seq AND d.endpoint = ?3"
    " WHERE e.seq >= ?1 AND e.seq <= ?2 ORDER BY e.seq LIMIT ?4";

}  // namespace outboxd::sqlite::sql
