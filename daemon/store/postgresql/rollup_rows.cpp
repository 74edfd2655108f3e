#include "store/postgresql/rollup_rows.h"

#include <string>
#include <string_view>

#include "store/rows.h"

namespace outboxd::postgresql {
namespace {

constexpr std::string_view kPut =
    "INSERT INTO rollup (span, at, slot, endpoint, type, outcome, status, reason, accepted, attempts, failed,"
    " delivered, dead, latency, duration, first_at, last_at, last_error)"
    " SELECT $1, $2, $3, * FROM unnest($4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[],"
    " $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bytea[], $15::bytea[],"
    " $16::bigint[], $17::bigint[], $18::text[])"
    " ON CONFLICT (span, at, endpoint, type, outcome, status, reason, slot) DO UPDATE SET"
    " accepted = excluded.accepted, attempts = excluded.attempts, failed = excluded.failed,"
    " delivered = excluded.delivered, dead = excluded.dead, latency = excluded.latency,"
    " duration = excluded.duration, first_at = excluded.first_at, last_at = excluded.last_at,"
    " last_error = excluded.last_error";
constexpr std::string_view kOfSpan =
    "SELECT at, endpoint, type, outcome, status, reason, accepted, attempts, failed, delivered, dead, "
    "latency,"
    " duration, first_at, last_at, last_error, slot FROM rollup WHERE span = $1 AND at = $2"
    " ORDER BY span, at, endpoint, type, outcome, status, reason, slot";
constexpr int kSlot = 16;

}  // namespace

RollupRows::Columns::Columns(Millis length, Time begin, const std::vector<Groups::value_type*>& groups)
    : span(length), at(begin) {
  for (const auto* const group : groups) add(group->first, group->second.counts);
  latency.reserve(groups.size());
  duration.reserve(groups.size());
  for (const std::string& bytes : latency_kept) latency.push_back({bytes});
  for (const std::string& bytes : duration_kept) duration.push_back({bytes});
}

void RollupRows::Columns::add(const RollupKey& key, const RollupCounts& counts) {
  endpoint.push_back(key.endpoint);
  type.push_back(key.type);
  outcome.emplace_back(key.outcome ? to_string(*key.outcome) : std::string_view());
  status.push_back(key.status);
  reason.emplace_back(key.reason ? to_string(*key.reason) : std::string_view());
  accepted.push_back(counts.accepted);
  attempts.push_back(counts.attempts);
  failed.push_back(counts.failed);
  delivered.push_back(counts.delivered);
  dead.push_back(counts.dead);
  latency_kept.push_back(counts.latency.encode());
  duration_kept.push_back(counts.duration.encode());
  first_at.push_back(millis(counts.first_at));
  last_at.push_back(millis(counts.last_at));
  last_error.push_back(counts.last_error);
}

RollupRows::RollupRows(Connection& db)
    : db_(db),
      put_(db, kPut),
      of_span_(db, kOfSpan),
      next_(db, "SELECT at FROM rollup WHERE span = $1 AND at >= $2 AND at < $3 ORDER BY span, at LIMIT 1"),
      erase_(db, "DELETE FROM rollup WHERE span = $1 AND at = $2"),
      rolled_up_(db, "SELECT rolled_up FROM sweep"),
      set_rolled_up_(db, "UPDATE sweep SET rolled_up = $1") {}

std::vector<RollupRow> RollupRows::rows(Millis span, Time at) {
  write_gathered();
  std::vector<RollupRow> all;
  Cursor row(of_span_, span.count(), millis(at));
  all.reserve(static_cast<std::size_t>(row.size()));
  while (row.next()) all.push_back(read_rollup(row));
  return all;
}

std::vector<RollupRow> RollupRows::own_rows(Millis span, Time at) {
  write_gathered();
  std::vector<RollupRow> all;
  Cursor row(of_span_, span.count(), millis(at));
  all.reserve(static_cast<std::size_t>(row.size()));
  while (row.next()) {
    all.push_back(read_rollup(row));
    if (row.number(kSlot) != slot_) all.back().counts = {};
  }
  return all;
}

void RollupRows::put(Millis span, Time at, const std::vector<Groups::value_type*>& groups) {
  gathered_.emplace_back(span, at, groups);
}

void RollupRows::ask(Pipeline& last) {
  for (const Columns& c : gathered_) {
    last.add(put_, c.span.count(), millis(c.at), slot_, c.endpoint, c.type, c.outcome, c.status, c.reason,
             c.accepted, c.attempts, c.failed, c.delivered, c.dead, c.latency, c.duration, c.first_at,
             c.last_at, c.last_error);
  }
  gathered_.clear();
}

void RollupRows::write_gathered() {
  if (gathered_.empty()) return;
  Pipeline now(db_);
  ask(now);
  now.run();
}

std::optional<Time> RollupRows::next(Millis span, Time from, Time before) {
  write_gathered();
  Cursor row(next_, span.count(), millis(from), millis(before));
  if (!row.next()) return std::nullopt;
  return row.time(0);
}

std::int64_t RollupRows::erase(Millis span, Time at) {
  write_gathered();
  erase_.run(span.count(), millis(at));
  return erase_.changes();
}

Time RollupRows::rolled_up() {
  Cursor row(rolled_up_);
  return row.next() ? row.time(0) : Time{};
}

void RollupRows::set_rolled_up(Time until) {
  set_rolled_up_.run(millis(until));
}

}  // namespace outboxd::postgresql
