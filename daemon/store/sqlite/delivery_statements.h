// Statements on a delivery and its attempts: created, moved by an outcome, moved by an operator, kept in order. The
// columns order_key and behind are what the code calls the sequence key and blocked; after_batch is set whenever the
// state changes (migration 0009).
#pragma once

#include <string_view>

namespace outboxd::sqlite::sql {

#define OUTBOXD_INSERT_DELIVERY                                                                     \
  "INSERT INTO delivery (event, endpoint, state, due_at, priority, order_key, behind, created_at, " \
  "expires_at, after_batch)"                                                                        \
  " VALUES (?1, ?2, 'pending', ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
inline constexpr std::string_view kInsertDelivery = OUTBOXD_INSERT_DELIVERY;
inline constexpr std::string_view kInsertDeliveryUnlessThere =
    OUTBOXD_INSERT_DELIVERY " ON CONFLICT DO NOTHING";
#undef OUTBOXD_INSERT_DELIVERY
inline constexpr std::string_view kFindDelivery =
    "SELECT event, endpoint, state, reason, attempts, due_at, priority, error, created_at, finished_at"
    " FROM delivery WHERE event = ?1 AND endpoint = ?2";
inline constexpr std::string_view kChangedAfterBatch =
    "SELECT coalesce(after_batch, 0) FROM delivery WHERE event = ?1 AND endpoint = ?2";
inline constexpr std::string_view kStatesOfEvent =
    "SELECT endpoint, state FROM delivery WHERE event = ?1 AND endpoint > ?2 ORDER BY endpoint LIMIT ?3";
inline constexpr std::string_view kChangeDelivery =
    "UPDATE delivery SET state = ?3, reason = NULL, due_at = coalesce(?4, due_at), finished_at = ?5,"
    " attempts = CASE ?3 WHEN 'pending' THEN 0 ELSE attempts END, order_key = ?6, behind = ?7, after_batch = "
    "?8,"
    " expires_at = CASE ?3 WHEN 'pending' THEN NULL ELSE expires_at END"  // an operator's retry overrides the event's expiry
    " WHERE event = ?1 AND endpoint = ?2";
inline constexpr std::string_view kDiscardPending =
    "UPDATE delivery SET state = 'discarded', finished_at = ?3, order_key = NULL, after_batch = ?4 WHERE "
    "event = ?1 AND endpoint = ?2 AND state = 'pending'";

// With ?3 = 0 it finds the delivery that is, or should be, the head.
inline constexpr std::string_view kFirstInOrder =
    "SELECT event, behind FROM delivery INDEXED BY delivery_in_order WHERE endpoint = ?1 AND "
    "order_key = ?2 AND event > ?3 AND state = 'pending' ORDER BY event LIMIT 1";
inline constexpr std::string_view kSetBlocked =
    "UPDATE delivery SET behind = ?3 WHERE event = ?1 AND endpoint = ?2";
inline constexpr std::string_view kSequenceKeyOfPending =
    "SELECT order_key FROM delivery WHERE event = ?1 AND endpoint = ?2 AND state = 'pending' AND order_key "
    "IS NOT NULL";

// Moves only a pending delivery, so that what an operator did meanwhile stands. There are two statements: the first,
// for deliveries in no order, is tried first and leaves the index of those in order alone; the second is for those in
// order. (Never an earlier due time: batches walk along it, reader_batches.cpp.)
#define OUTBOXD_MOVE                                                                                   \
  "UPDATE delivery SET state = ?3, reason = ?4, due_at = max(due_at, coalesce(?5, due_at)), error = "  \
  "CASE ?6 WHEN 0 THEN error ELSE ?7 END, after_batch = CASE ?3 WHEN 'pending' THEN after_batch ELSE " \
  "?11 END,"                                                                                           \
  " finished_at = ?8, attempts = attempts + ?9, attempts_ever = max(attempts_ever, ?10)"
inline constexpr std::string_view kMovePending =
    OUTBOXD_MOVE " WHERE event = ?1 AND endpoint = ?2 AND state = 'pending' AND order_key IS NULL";
inline constexpr std::string_view kMovePendingInOrder = OUTBOXD_MOVE
    ", order_key = CASE ?3 WHEN 'pending' THEN order_key END WHERE event = ?1 AND endpoint = ?2"
    " AND state = 'pending' AND order_key IS NOT NULL";
#undef OUTBOXD_MOVE
inline constexpr std::string_view kExpires =
    "SELECT 1 FROM delivery WHERE event = ?1 AND endpoint = ?2 AND expires_at IS NOT NULL";
inline constexpr std::string_view kCountAttempt =
    "UPDATE delivery SET attempts_ever = max(attempts_ever, ?3) WHERE event = ?1 AND endpoint = ?2";
inline constexpr std::string_view kInsertAttempt =
    "INSERT INTO attempt (event, endpoint, number, id, started_at, dns, connect, tls, first_byte, total, "
    "outcome, status,"
    " error, request_line, response_headers, response_body, remote_address, resent, after_batch)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19) ON "
    "CONFLICT "
    "DO NOTHING";
inline constexpr std::string_view kFindAttempt =
    "SELECT 1 FROM attempt WHERE event = ?1 AND endpoint = ?2 AND id = ?3";
inline constexpr std::string_view kLastAttempt =
    "SELECT max(number) FROM attempt WHERE event = ?1 AND endpoint = ?2";

}  // namespace outboxd::sqlite::sql
