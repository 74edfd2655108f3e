// Reads of the roll-up (store/rollup.h).
#include <algorithm>

#include "store/failure_groups.h"
#include "store/sqlite/reader.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/snapshot.h"

namespace outboxd::sqlite {
namespace {

constexpr int kSeeksAtOnce = 500;  // in one read transaction

}  // namespace

Time Reader::rolled_up() {
  Cursor row(rolled_up_);
  return row.next() ? row.time(0) : Time{};
}

Failures Reader::failures(const FailureQuery& query) {
  std::optional<EndpointSeq> endpoint;
  Time complete{};
  const Time since = start_of(kRollupMinute, query.since);
  {
    const Snapshot snapshot(*this);
    complete = rolled_up();
    if (query.endpoint) endpoint = seq_of(*query.endpoint);
  }
  if (query.endpoint && !endpoint) return {.groups = {}, .all = 0, .attempts = 0, .dead = 0, .since = since};
  // Within the read transaction of what asks.
  const auto identify = [this](EndpointSeq seq) -> FailureGroups::Identity {
    Cursor row(endpoint_identity_, seq);
    if (!row.next()) return {};
    return {EndpointId{read_uuid(row.view(0))}, row.text(1)};
  };
  FailureGroups groups(query, endpoint, identify);
  Time reached = std::max(since, query.until);
  for (const RollupPiece& piece : rollup_pieces(since, query.until, complete)) {
    if (groups.is_full()) break;
    const Snapshot snapshot(*this);
    Cursor row(rollup_failing_, piece.span.count(), millis(piece.from), millis(piece.to));
    while (row.next()) groups.add(read_rollup(row));
    reached = piece.from;
  }
  const Snapshot snapshot(*this);
  return groups.take(reached);
}

std::vector<RollupPoint> Reader::series(const std::optional<EndpointId>& endpoint, Time since, Time until,
                                        Millis step) {
  std::vector<RollupPoint> points;
  for (Time at = since; at < until; at += step) points.push_back({.at = at, .counts = {}});
  std::optional<EndpointSeq> seq = 0;
  Time hours_end = since;
  {
    const Snapshot snapshot(*this);
    if (endpoint) seq = seq_of(*endpoint);
    if (step % kRollupHour == Millis(0) && start_of(kRollupHour, since) == since)
      hours_end = std::max(since, start_of(kRollupHour, std::min(until, rolled_up())));
  }
  if (!seq) return points;
  // A seek for each minute or hour, so that it costs nothing how many other endpoints there are.
  for (Time at = since; at < until;) {
    const Snapshot snapshot(*this);
    for (int seeks = 0; at < until && seeks < kSeeksAtOnce; ++seeks) {
      const Millis span = at < hours_end ? kRollupHour : kRollupMinute;
      Cursor row(rollup_of_endpoint_, span.count(), millis(at), *seq);
      while (row.next()) {
        const RollupRow counted = read_rollup(row);
        if (*seq == 0 && !counted.key.type.empty()) continue;  // of "other" endpoints
        points[static_cast<std::size_t>((at - since) / step)].counts += counted.counts;
      }
      at += span;
    }
  }
  return points;
}

}  // namespace outboxd::sqlite
