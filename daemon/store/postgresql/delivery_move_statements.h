// What operators do to deliveries, to many of them at once. Each subquery behind LATERAL is planned apart (OFFSET 0, FOR
// UPDATE): the keys come first whatever the statistics say, and the day of a block chooses the partition.
#pragma once

#include <string_view>

namespace outboxd::postgresql::sql {

#define OUTBOXD_KEYS "unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS u(event, endpoint, i)"
#define OUTBOXD_DAYS_OF(EVENT) \
  "CROSS JOIN LATERAL (SELECT day FROM event_block WHERE block = " EVENT " >> 16 OFFSET 0) AS b"

inline constexpr std::string_view kOrdersOfPending =
    "SELECT u.endpoint, p.sequence_key FROM " OUTBOXD_KEYS
    " CROSS JOIN LATERAL (SELECT sequence_key FROM pending WHERE event = u.event AND endpoint = u.endpoint"
    " OFFSET 0) AS p WHERE p.sequence_key IS NOT NULL";
inline constexpr std::string_view kOrderingsOf =
    "SELECT seq, ordering FROM endpoint WHERE seq = ANY($1) AND removed_at IS NULL";
#define OUTBOXD_EVENTS(LOCK) \
  "SELECT e.seq, e.day, e.priority, e.ordering_key, e.payload_erased_at FROM unnest($1::bigint[]) AS " \
  "u(seq) " \
  OUTBOXD_DAYS_OF("u.seq")                                                                                 \
  " CROSS JOIN LATERAL (SELECT seq, day, priority, ordering_key, payload_erased_at FROM event"             \
  " WHERE day = b.day AND seq = u.seq " LOCK ") AS e"
inline constexpr std::string_view kEventsToSend = OUTBOXD_EVENTS("OFFSET 0");
// Locked, so that what is made of an event is made once.
inline constexpr std::string_view kEventsToMake = OUTBOXD_EVENTS("FOR NO KEY UPDATE");
#undef OUTBOXD_EVENTS

#define OUTBOXD_PENDING_COLUMNS                                                                    \
  "event, endpoint, 'pending' AS state, NULL::text AS reason, attempts, due_at, priority, error, " \
  "created_at,"                                                                                    \
  " NULL::bigint AS finished_at, day, sequence_key, after_batch"
#define OUTBOXD_FINISHED_COLUMNS                                                                     \
  "event, endpoint, state, reason, attempts, due_at, priority, error, created_at, finished_at, day," \
  " NULL::text AS sequence_key, after_batch"
inline constexpr std::string_view kLockPending =
    "SELECT p.*, u.i FROM " OUTBOXD_KEYS " CROSS JOIN LATERAL (SELECT " OUTBOXD_PENDING_COLUMNS
    " FROM pending WHERE event = u.event AND endpoint = u.endpoint FOR UPDATE) AS p";
inline constexpr std::string_view kLockFinished =
    "SELECT f.*, u.i FROM " OUTBOXD_KEYS
    " " OUTBOXD_DAYS_OF("u.event") " CROSS JOIN LATERAL (SELECT " OUTBOXD_FINISHED_COLUMNS
                                   " FROM finished WHERE day = b.day AND event = u.event AND endpoint = "
                                   "u.endpoint FOR UPDATE) AS f";
inline constexpr std::string_view kFindPending =
    "SELECT " OUTBOXD_PENDING_COLUMNS " FROM pending WHERE event = $1 AND endpoint = $2";
inline constexpr std::string_view kFindFinished =
    "SELECT f.* FROM (SELECT day FROM event_block WHERE block = $1 >> 16 OFFSET 0) AS b"
    " CROSS JOIN LATERAL (SELECT " OUTBOXD_FINISHED_COLUMNS
    " FROM finished WHERE day = b.day AND event = $1 AND endpoint = $2 OFFSET 0) AS f";
#undef OUTBOXD_PENDING_COLUMNS
#undef OUTBOXD_FINISHED_COLUMNS
#undef OUTBOXD_DAYS_OF
#undef OUTBOXD_KEYS

// From pending, and from dead.
inline constexpr std::string_view kDiscardMany =
    "WITH gone AS (DELETE FROM pending AS p USING unnest($1::bigint[], $2::bigint[]) AS u(event, endpoint)"
    " WHERE p.event = u.event AND p.endpoint = u.endpoint RETURNING p.*)"
    " INSERT INTO finished (day, event, endpoint, state, reason, attempts, attempts_ever, due_at, priority, "
    "error,"
    " created_at, finished_at, after_batch) SELECT day, event, endpoint, 'discarded', NULL, attempts,"
    " attempts_ever, due_at, priority, error, created_at, $3, $4 FROM gone";
inline constexpr std::string_view kBuryMany =
    "UPDATE finished AS f SET state = 'discarded', reason = NULL, finished_at = $4, after_batch = $5"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u(event, endpoint, day)"
    " WHERE f.day = u.day AND f.event = u.event AND f.endpoint = u.endpoint";
// From finished, from pending, and from nothing. Who is in an order is blocked until it is known who goes first. An
// operator's word overrides the event's expiry.
inline constexpr std::string_view kReviveMany =
    "WITH gone AS (DELETE FROM finished AS f"
    " USING unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) AS u(event, endpoint, day, "
    "sequence_key)"
    " WHERE f.day = u.day AND f.event = u.event AND f.endpoint = u.endpoint RETURNING f.*, u.sequence_key)"
    " INSERT INTO pending (event, endpoint, day, due_at, priority, attempts, attempts_ever, blocked, "
    "sequence_key,"
    " error, created_at, expires_at, after_batch) SELECT event, endpoint, day, $5, priority, 0, "
    "attempts_ever,"
    " sequence_key IS NOT NULL, sequence_key, error, created_at, NULL, $6 FROM gone";
inline constexpr std::string_view kResetMany =
    "UPDATE pending AS p SET due_at = $4, attempts = 0, blocked = u.sequence_key IS NOT NULL,"
    " sequence_key = u.sequence_key, expires_at = NULL, after_batch = $5"
    " FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS u(event, endpoint, sequence_key)"
    " WHERE p.event = u.event AND p.endpoint = u.endpoint";
inline constexpr std::string_view kInsertMany =
    "WITH made AS (INSERT INTO pending (event, endpoint, day, priority, sequence_key, blocked, due_at, "
    "created_at,"
    " after_batch) SELECT event, endpoint, day, priority, sequence_key, sequence_key IS NOT NULL, $6, $7, $8"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])"
    " AS u(event, endpoint, day, priority, sequence_key) ON CONFLICT DO NOTHING RETURNING event, endpoint, "
    "day),"
    " counted AS (UPDATE event AS e SET deliveries = e.deliveries + m.made"
    " FROM (SELECT event, day, count(*) AS made FROM made GROUP BY event, day) AS m"
    " WHERE e.day = m.day AND e.seq = m.event)"
    " SELECT endpoint, day FROM made";

// Only who is in the order yet: one that was replayed may have left it.
inline constexpr std::string_view kDemoteMany =
    "UPDATE pending AS p SET blocked = true"
    " FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS u(event, endpoint, sequence_key)"
    " WHERE p.event = u.event AND p.endpoint = u.endpoint AND p.sequence_key = u.sequence_key"
    " AND NOT p.blocked RETURNING p.event, p.endpoint";
inline constexpr std::string_view kPromoteMany =
    "UPDATE pending AS p SET blocked = false FROM unnest($1::bigint[], $2::bigint[]) AS u(event, endpoint)"
    " WHERE p.event = u.event AND p.endpoint = u.endpoint AND p.blocked RETURNING p.event, p.endpoint";

}  // namespace outboxd::postgresql::sql
