#include "store/postgresql/event_walk.h"

#include <algorithm>
#include <string>

namespace outboxd::postgresql {
namespace {

constexpr int kBlockBits = 16;

std::string of_block(std::string_view columns) {
  std::string sql(
      "SELECT e.* FROM (SELECT day FROM event_block WHERE block = $1 AND day <> ALL($5) OFFSET 0) AS b"
      " CROSS JOIN LATERAL (SELECT ");
  return sql.append(columns).append(
      " FROM event WHERE day = b.day AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4) AS e"
      " ORDER BY e.seq LIMIT $4");
}

}  // namespace

EventWalk::EventWalk(Connection& db, std::string_view columns)
    : next_block_(
          db, "SELECT block FROM event_block WHERE block >= $1 AND day <> ALL($2) ORDER BY block LIMIT 1"),
      of_block_(db, of_block(columns)) {}

std::int64_t EventWalk::take(EventSeq after, EventSeq last, std::int64_t limit, const Days& except,
                             const std::function<void(const Cursor&)>& take) {
  std::int64_t taken = 0;
  while (taken < limit && after < last) {
    Cursor next(next_block_, (after + 1) >> kBlockBits, except);
    if (!next.next()) break;
    const std::int64_t block = next.integer(0);
    const EventSeq end = ((block + 1) << kBlockBits) - 1;
    Cursor row(of_block_, block, after, std::min(end, last), limit - taken, except);
    while (row.next()) take(row);
    taken += row.size();
    after = end;
  }
  return taken;
}

}  // namespace outboxd::postgresql
