#include "store/postgresql/due_marks.h"

#include <algorithm>

namespace outboxd::postgresql {

DueMarks::Look DueMarks::begin(EndpointSeq endpoint, Millis mono) {
  const MutexLock lock(mutex_);
  if (marks_.size() >= kMaxEndpoints) marks_.clear();
  Marks& marks =
      marks_.try_emplace(endpoint, Marks{.at = {}, .full_look = {}, .lowered = ++lowered_}).first->second;
  if (marks.full_look && mono - *marks.full_look < kFullLook)
    return {.from = marks.at, .full = false, .lowered = marks.lowered};
  return {.from = {}, .full = true, .lowered = marks.lowered};
}

bool DueMarks::saw(EndpointSeq endpoint, const Look& look, const Times& earliest, Time now, Millis mono) {
  const MutexLock lock(mutex_);
  if (now + kLag < latest_) {
    marks_.clear();
    latest_ = now;
    return look.full;
  }
  latest_ = std::max(latest_, now);
  const auto found = marks_.find(endpoint);
  if (found == marks_.end() || found->second.lowered != look.lowered) return true;
  Marks& marks = found->second;
  for (std::size_t priority = 0; priority < kPriorities; ++priority)
    marks.at[priority] = std::min(earliest[priority].value_or(now), now - kLag);
  if (look.full) marks.full_look = mono;
  return true;
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
