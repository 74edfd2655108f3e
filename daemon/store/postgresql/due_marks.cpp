#include "store/postgresql/due_marks.h"

#include <algorithm>
#include <iterator>

namespace outboxd::postgresql {
namespace {

constexpr Millis kApart{20};  // of the snapshots that are remembered

}  // namespace

DueMarks::Look DueMarks::begin(EndpointSeq endpoint, Millis mono) {
  const MutexLock lock(mutex_);
  if (marks_.size() >= kMaxEndpoints) marks_.clear();
  Marks& marks =
      marks_.try_emplace(endpoint, Marks{.at = {}, .full_look = {}, .lowered = ++lowered_}).first->second;
  if (marks.full_look && mono - *marks.full_look < kFullLook)
    return {.from = marks.at, .full = false, .lowered = marks.lowered};
  return {.from = {}, .full = true, .lowered = marks.lowered};
}

bool DueMarks::saw(EndpointSeq endpoint, const Look& look, const Times& earliest, const Snapshot& snapshot,
                   Millis mono) {
  const MutexLock lock(mutex_);
  if (snapshot.at + kMargin < latest_) {
    marks_.clear();
    snapshots_.clear();
    latest_ = snapshot.at;
    return look.full;
  }
  latest_ = std::max(latest_, snapshot.at);
  remember(snapshot);
  const auto found = marks_.find(endpoint);
  if (found == marks_.end() || found->second.lowered != look.lowered) return true;
  Marks& marks = found->second;
  const Time settled = nothing_before(snapshot);
  for (std::size_t priority = 0; priority < kPriorities; ++priority)
    marks.at[priority] = std::min(earliest[priority].value_or(snapshot.at), settled);
  if (look.full) marks.full_look = mono;
  return true;
}

// Fetches end in another order than they took their snapshots: one that is older than the last says nothing new.
void DueMarks::remember(const Snapshot& snapshot) {
  while (!snapshots_.empty() && snapshots_.front().at + kLag < snapshot.at) snapshots_.pop_front();
  if (snapshots_.empty() ||
      (snapshot.at >= snapshots_.back().at + kApart && snapshot.next >= snapshots_.back().next))
    snapshots_.push_back(snapshot);
}

// What the fetch with this snapshot has not seen is not due before that. The transactions that had not ended have the
// numbers from `oldest` on: they got them after each snapshot whose next number was not greater.
Time DueMarks::nothing_before(const Snapshot& snapshot) const {
  const auto later = std::ranges::upper_bound(snapshots_, snapshot.oldest, {}, &Snapshot::next);
  const Time at_most = snapshot.at - kLag;
  return later == snapshots_.begin() ? at_most : std::max(at_most, std::prev(later)->at - kMargin);
}

void DueMarks::lower(EndpointSeq endpoint, Time due_at) {
  const MutexLock lock(mutex_);
  const auto found = marks_.find(endpoint);
  if (found == marks_.end()) return;
  for (auto& at : found->second.at) {
    if (at) at = std::min(*at, due_at);
  }
  found->second.lowered = ++lowered_;
}

void DueMarks::forget(EndpointSeq endpoint) {
  const MutexLock lock(mutex_);
  marks_.erase(endpoint);
}

void DueMarks::clear() {
  const MutexLock lock(mutex_);
  marks_.clear();
}

}  // namespace outboxd::postgresql
