#include "store/sqlite/rollup_rows.h"

#include <string>

#include "store/sqlite/rows.h"

namespace outboxd::sqlite {

std::vector<RollupRow> RollupRows::rows(Millis span, Time at) {
  std::vector<RollupRow> all;
  Cursor row(of_span_, span.count(), millis(at));
  while (row.next()) all.push_back(read_rollup(row));
  return all;
}

void RollupRows::put(Millis span, Time at, const std::vector<Groups::value_type*>& groups) {
  for (const Groups::value_type* group : groups) {
    const auto& [key, value] = *group;
    const RollupCounts& counts = value.counts;
    const std::string latency = counts.latency.encode(), duration = counts.duration.encode();
    put_.run(span.count(), millis(at), key.endpoint, key.type,
             key.outcome ? to_string(*key.outcome) : std::string_view(), key.status,
             key.reason ? to_string(*key.reason) : std::string_view(), counts.accepted, counts.attempts,
             counts.failed, counts.delivered, counts.dead, Blob{latency}, Blob{duration},
             millis(counts.first_at), millis(counts.last_at), counts.last_error);
  }
}

std::optional<Time> RollupRows::next(Millis span, Time from, Time before) {
  Cursor row(next_, span.count(), millis(from), millis(before));
  if (!row.next()) return std::nullopt;
  return row.time(0);
}

std::int64_t RollupRows::erase(Millis span, Time at) {
  delete_.run(span.count(), millis(at));
  return delete_.changes();
}

Time RollupRows::rolled_up() {
  Cursor row(read_rolled_up_);
  return row.next() ? row.time(0) : Time{};
}

void RollupRows::set_rolled_up(Time until) {
  set_rolled_up_.run(millis(until));
}

}  // namespace outboxd::sqlite
