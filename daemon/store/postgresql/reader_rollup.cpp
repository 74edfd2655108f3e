// Reads of the roll-up (store/rollup.h). What happened in one span has a row for each slot of members; all of them are
// added up.
#include <algorithm>
#include <map>

#include "store/failure_groups.h"
#include "store/postgresql/reader_session.h"
#include "store/rows.h"

namespace outboxd::postgresql {
namespace {

constexpr std::int64_t kSeeksAtOnce = 500;  // in one statement
constexpr int kId = 16, kTenant = 17;       // of the endpoint, behind the columns of read_rollup

Time read_rolled_up(Statement& statement) {
  Cursor row(statement);
  return row.next() ? row.time(0) : Time{};
}

}  // namespace

Failures Reader::failures(const FailureQuery& query) {
  return read([&](Session& session) -> Failures {
    const Time since = start_of(kRollupMinute, query.since);
    const auto endpoint = query.endpoint ? seq_of(session, *query.endpoint) : std::nullopt;
    if (query.endpoint && !endpoint)
      return {.groups = {}, .all = 0, .attempts = 0, .dead = 0, .since = since};
    std::map<EndpointSeq, FailureGroups::Identity> identities;  // they come with the rows
    FailureGroups groups(query, endpoint, [&identities](EndpointSeq seq) { return identities[seq]; });
    Time reached = std::max(since, query.until);
    for (const RollupPiece& piece : rollup_pieces(since, query.until, read_rolled_up(session.rolled_up))) {
      if (groups.is_full()) break;
      Cursor row(session.rollup_failing, piece.span.count(), millis(piece.from), millis(piece.to));
      while (row.next()) {
        const RollupRow failed = read_rollup(row);
        if (!row.is_null(kId))
          identities[failed.key.endpoint] = {EndpointId{row.uuid(kId)}, row.text(kTenant)};
        groups.add(failed);
      }
      reached = piece.from;
    }
    return groups.take(reached);
  });
}

std::vector<RollupPoint> Reader::series(const std::optional<EndpointId>& endpoint, Time since, Time until,
                                        Millis step) {
  return read([&](Session& session) {
    std::vector<RollupPoint> points;
    for (Time at = since; at < until; at += step) points.push_back({.at = at, .counts = {}});
    const auto seq = endpoint ? seq_of(session, *endpoint) : std::optional<EndpointSeq>(0);
    if (!seq) return points;
    Time hours_end = since;
    if (step % kRollupHour == Millis(0) && start_of(kRollupHour, since) == since)
      hours_end = std::max(since, start_of(kRollupHour, std::min(until, read_rolled_up(session.rolled_up))));
    // A seek for each minute or hour, so that it costs nothing how many other endpoints there are.
    for (Time at = since; at < until;) {
      const Millis span = at < hours_end ? kRollupHour : kRollupMinute;
      const Time end = std::min(at < hours_end ? hours_end : until, at + kSeeksAtOnce * span);
      Cursor row(session.rollup_of_endpoint, span.count(), millis(at), millis(end), *seq);
      while (row.next()) {
        const RollupRow counted = read_rollup(row);
        if (*seq == 0 && !counted.key.type.empty()) continue;  // of "other" endpoints
        points[static_cast<std::size_t>((counted.at - since) / step)].counts += counted.counts;
      }
      at = end;
    }
    return points;
  });
}

}  // namespace outboxd::postgresql
