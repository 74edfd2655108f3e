// Reads of the roll-up (store/rollup.h). Hours where a whole one is wanted and complete, minutes for the rest.
#include <algorithm>
#include <map>
#include <set>

#include "store/sqlite/reader.h"
#include "store/sqlite/rollup_row.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/snapshot.h"

namespace outboxd::sqlite {
namespace {

constexpr int kSeeksAtOnce = 500;          // in one read transaction
constexpr std::int64_t kMaxRows = 50'000;  // of one call: no piece of a range is begun after so many

// A piece of a range that one read transaction reads: an hour by the minute, or a day by the hour.
struct Piece {
  Millis span;
  Time from, to;
};

// The latest first. Hours before `rolled_up` are complete.
std::vector<Piece> pieces_of(Time since, Time until, Time rolled_up) {
  const Time first_hour = start_of(kRollupHour, since + kRollupHour - Millis(1));
  const Time hours_end = start_of(kRollupHour, std::min(until, rolled_up));
  std::vector<Piece> pieces;
  const auto add = [&pieces](Millis span, Time from, Time to) {
    const Millis length = span == kRollupMinute ? kRollupHour : Millis(std::chrono::days(1));
    while (from < to) {
      const Time begin = std::max(from, to - length);
      pieces.push_back({span, begin, to});
      to = begin;
    }
  };
  if (first_hour >= hours_end) {
    add(kRollupMinute, since, until);
  } else {
    add(kRollupMinute, hours_end, until);
    add(kRollupHour, first_hour, hours_end);
    add(kRollupMinute, since, first_hour);
  }
  return pieces;
}

// What all have that were added; absent when they differ.
template <class T>
class Common {
 public:
  void add(const std::optional<T>& value) {
    if (!seen_) value_ = value;
    if (value_ != value) value_.reset();
    seen_ = true;
  }
  const std::optional<T>& value() const { return value_; }

 private:
  std::optional<T> value_;
  bool seen_ = false;
};

struct Group {
  FailureGroup sum;
  Common<std::string> type;
  Common<Outcome> outcome;
  Common<int> status;
  Common<DeadReason> reason;
  std::set<EndpointSeq> endpoints;

  void add(const RollupRow& row) {
    const auto& [at, key, counts] = row;
    const bool newer = !sum.last_at || (counts.last_at && *counts.last_at >= *sum.last_at);
    sum.attempts += counts.failed;
    sum.dead += counts.dead;
    if (newer) {
      sum.last_at = counts.last_at;
      if (key.outcome) sum.last_status = key.status;
    }
    if (!counts.last_error.empty() && (newer || sum.last_error.empty())) sum.last_error = counts.last_error;
    if (counts.first_at && (!sum.first_at || *counts.first_at < *sum.first_at))
      sum.first_at = counts.first_at;
    type.add(key.type);
    outcome.add(key.outcome);
    status.add(key.outcome ? std::optional(key.status) : std::nullopt);
    reason.add(key.reason);
    endpoints.insert(key.endpoint);
  }
};

// The group that a row belongs to; absent: none.
std::optional<std::string> group_of(const RollupKey& key, FailuresBy by) {
  switch (by) {
    case FailuresBy::kError:
      if (key.outcome) return std::string(to_string(*key.outcome));
      return key.reason ? std::optional("reason " + std::string(to_string(*key.reason))) : std::nullopt;
    case FailuresBy::kEndpoint:
      return std::to_string(key.endpoint);
    case FailuresBy::kType:
      return key.type;
    case FailuresBy::kStatus:
      return key.outcome ? std::optional(std::to_string(key.status)) : std::nullopt;
    case FailuresBy::kReason:
      break;
  }
  return key.reason ? std::optional(std::string(to_string(*key.reason))) : std::nullopt;
}

}  // namespace

// Gathers the rows of what failed into groups.
class Reader::FailureScan {
 public:
  FailureScan(Reader& reader, const FailureQuery& query, std::optional<EndpointSeq> endpoint)
      : reader_(reader), query_(query), endpoint_(endpoint) {}

  void read(const Piece& piece) {
    const Snapshot snapshot(reader_);
    Cursor row(reader_.rollup_failing_, piece.span.count(), millis(piece.from), millis(piece.to));
    for (; row.next(); ++rows_) {
      const RollupRow failed = read_rollup(row);
      if (is_wanted(failed.key)) add(failed);
    }
  }
  bool is_full() const { return rows_ >= kMaxRows; }

  Failures take(Time since) {
    Failures found{.groups = {}, .all = groups_.size(), .attempts = 0, .dead = 0, .since = since};
    std::vector<Group*> sorted;
    for (auto& [name, group] : groups_) {
      found.attempts += group.sum.attempts;
      found.dead += group.sum.dead;
      sorted.push_back(&group);
    }
    std::stable_sort(sorted.begin(), sorted.end(), [](const Group* a, const Group* b) {
      return std::pair(a->sum.dead, a->sum.attempts) > std::pair(b->sum.dead, b->sum.attempts);
    });
    if (sorted.size() > query_.limit) sorted.resize(query_.limit);
    const Snapshot snapshot(reader_);
    for (Group* group : sorted) found.groups.push_back(finish(*group));
    return found;
  }

 private:
  struct Identity {
    std::optional<EndpointId> id;  // absent: the endpoint is gone
    std::string tenant;
  };
  const Identity& identity_of(EndpointSeq endpoint) {
    const auto [known, is_new] = identities_.try_emplace(endpoint);
    if (!is_new) return known->second;
    Cursor row(reader_.endpoint_identity_, endpoint);
    if (row.next()) known->second = {EndpointId{read_uuid(row.view(0))}, row.text(1)};
    return known->second;
  }

  bool is_wanted(const RollupKey& key) {
    if (endpoint_ && key.endpoint != *endpoint_) return false;
    if (!query_.tenant) return true;
    const Identity& identity = identity_of(key.endpoint);
    return identity.id && identity.tenant == *query_.tenant;
  }

  void add(const RollupRow& row) {
    if (const auto name = group_of(row.key, query_.by)) groups_[*name].add(row);
  }

  FailureGroup finish(Group& group) {
    FailureGroup& sum = group.sum;
    sum.type = group.type.value();
    sum.outcome = group.outcome.value();
    sum.status = group.status.value();
    sum.reason = group.reason.value();
    sum.endpoint_count = static_cast<std::int64_t>(group.endpoints.size());
    for (const EndpointSeq endpoint : group.endpoints) {
      if (sum.endpoints.size() == FailureGroup::kMaxEndpoints) break;
      if (const auto id = identity_of(endpoint).id) sum.endpoints.push_back(*id);
    }
    return sum;
  }

  Reader& reader_;
  const FailureQuery& query_;
  const std::optional<EndpointSeq> endpoint_;
  std::map<std::string, Group> groups_;
  std::map<EndpointSeq, Identity> identities_;
  std::int64_t rows_ = 0;
};

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
  FailureScan scan(*this, query, endpoint);
  Time reached = std::max(since, query.until);
  for (const Piece& piece : pieces_of(since, query.until, complete)) {
    if (scan.is_full()) break;
    scan.read(piece);
    reached = piece.from;
  }
  return scan.take(reached);
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
