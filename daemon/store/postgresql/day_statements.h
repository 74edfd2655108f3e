// Days as a whole: what they hold, what of them stays, and how that moves to the partition of what is kept.
#pragma once

#include <string_view>

namespace outboxd::postgresql::sql {

// Days before $1: how many events and deliveries each holds.
inline constexpr std::string_view kOldDays =
    "SELECT day, sum(events)::bigint, sum(pending + delivered + dead + discarded)::bigint FROM counter"
    " WHERE day < $1 GROUP BY day ORDER BY day LIMIT 400";
inline constexpr std::string_view kNewestOfDay =
    "SELECT seq FROM event WHERE day = $1 ORDER BY seq DESC LIMIT 1";

// Events of the day $1 of which something stays: is pending, is fanned out yet, died on or after $2, ended otherwise on or
// after $3. Each bounded by $4.
inline constexpr std::string_view kStillPending =
    "SELECT p.event FROM (SELECT block FROM event_block WHERE day = $1 OFFSET 0) AS b"
    " CROSS JOIN LATERAL (SELECT event FROM pending WHERE event >= b.block << 16"
    " AND event < (b.block + 1) << 16 AND day = $1 ORDER BY event LIMIT $2) AS p LIMIT $2";
inline constexpr std::string_view kStillFansOut =
    "SELECT event FROM fan_out WHERE day = $1 ORDER BY event LIMIT $2";
inline constexpr std::string_view kDiedLately =
    "SELECT event FROM finished WHERE day = $1 AND state = 'dead' AND finished_at + 0 >= $2 ORDER BY event"
    " LIMIT $3";
inline constexpr std::string_view kEndedLately = "SELECT ended_lately($1::integer, $2, $3)";

// $1: events; $2: their day; $3: the one they move to. `pending` goes first: who is about to end one of these has its row.
// (The day of each beside it, and OFFSET 0: no plan reads the whole day for a few events.)
#define OUTBOXD_MOVED "(SELECT event, $2::bigint AS day FROM unnest($1::bigint[]) AS e(event) OFFSET 0) AS u"
inline constexpr std::string_view kMovePendingRows =
    "WITH moved AS (UPDATE pending AS p SET day = $3 FROM " OUTBOXD_MOVED
    " WHERE p.event = u.event AND p.day = u.day RETURNING p.endpoint)"
    " SELECT endpoint, 'pending', count(*) FROM moved GROUP BY endpoint ORDER BY endpoint";
inline constexpr std::string_view kMoveFinishedRows =
    "WITH moved AS (UPDATE finished AS f SET day = $3 FROM " OUTBOXD_MOVED
    " WHERE f.day = u.day AND f.event = u.event RETURNING f.endpoint, f.state)"
    " SELECT endpoint, state, count(*) FROM moved GROUP BY endpoint, state ORDER BY endpoint, state";
inline constexpr std::string_view kMoveAttempts =
    "UPDATE attempt AS a SET day = $3 FROM " OUTBOXD_MOVED " WHERE a.day = u.day AND a.event = u.event";
inline constexpr std::string_view kMoveEvents =
    "UPDATE event AS e SET day = $3 FROM " OUTBOXD_MOVED " WHERE e.day = u.day AND e.seq = u.event";
inline constexpr std::string_view kMoveFanOuts =
    "UPDATE fan_out AS f SET day = $3 FROM " OUTBOXD_MOVED " WHERE f.event = u.event AND f.day = u.day";
#undef OUTBOXD_MOVED
inline constexpr std::string_view kMoveBlocks =
    "INSERT INTO event_block (block, day) SELECT DISTINCT event >> 16, $2::bigint FROM unnest($1::bigint[])"
    " AS u(event) ON CONFLICT DO NOTHING";

// Blocks of what is kept of which nothing is left.
inline constexpr std::string_view kDeleteKeptBlocks =
    "DELETE FROM event_block AS b WHERE day >= $1 AND NOT EXISTS (SELECT 1 FROM event AS e WHERE e.day = "
    "b.day"
    " AND e.seq >= b.block << 16 AND e.seq < (b.block + 1) << 16 OFFSET 0)";

}  // namespace outboxd::postgresql::sql
