#include "store/failure_groups.h"

#include <algorithm>
#include <utility>

namespace outboxd {
namespace {

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

std::vector<RollupPiece> rollup_pieces(Time since, Time until, Time rolled_up) {
  const Time first_hour = start_of(kRollupHour, since + kRollupHour - Millis(1));
  const Time hours_end = start_of(kRollupHour, std::min(until, rolled_up));
  std::vector<RollupPiece> pieces;
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

void FailureGroups::Group::add(const RollupRow& row) {
  const auto& [at, key, counts] = row;
  const bool newer = !sum.last_at || (counts.last_at && *counts.last_at >= *sum.last_at);
  sum.attempts += counts.failed;
  sum.dead += counts.dead;
  if (newer) {
    sum.last_at = counts.last_at;
    if (key.outcome) sum.last_status = key.status;
  }
  if (!counts.last_error.empty() && (newer || sum.last_error.empty())) sum.last_error = counts.last_error;
  if (counts.first_at && (!sum.first_at || *counts.first_at < *sum.first_at)) sum.first_at = counts.first_at;
  type.add(key.type);
  outcome.add(key.outcome);
  status.add(key.outcome ? std::optional(key.status) : std::nullopt);
  reason.add(key.reason);
  endpoints.insert(key.endpoint);
}

void FailureGroups::add(const RollupRow& row) {
  ++rows_;
  if (!is_wanted(row.key)) return;
  if (const auto name = group_of(row.key, query_.by)) groups_[*name].add(row);
}

Failures FailureGroups::take(Time since) {
  Failures found{.groups = {}, .all = groups_.size(), .attempts = 0, .dead = 0, .since = since};
  std::vector<Group*> sorted;
  sorted.reserve(groups_.size());
  for (auto& [name, group] : groups_) {
    found.attempts += group.sum.attempts;
    found.dead += group.sum.dead;
    sorted.push_back(&group);
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const Group* a, const Group* b) {
    return std::pair(a->sum.dead, a->sum.attempts) > std::pair(b->sum.dead, b->sum.attempts);
  });
  if (sorted.size() > query_.limit) sorted.resize(query_.limit);
  found.groups.reserve(sorted.size());
  for (Group* group : sorted) found.groups.push_back(finish(*group));
  return found;
}

const FailureGroups::Identity& FailureGroups::identity_of(EndpointSeq endpoint) {
  const auto [known, is_new] = identities_.try_emplace(endpoint);
  if (is_new) known->second = identify_(endpoint);
  return known->second;
}

bool FailureGroups::is_wanted(const RollupKey& key) {
  if (endpoint_ && key.endpoint != *endpoint_) return false;
  if (!query_.tenant) return true;
  const Identity& identity = identity_of(key.endpoint);
  return identity.id && identity.tenant == *query_.tenant;
}

FailureGroup FailureGroups::finish(Group& group) {
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

}  // namespace outboxd
