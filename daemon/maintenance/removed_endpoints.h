// Discards what a removed endpoint left behind, in steps that do not hold up other commits: each is a command
// like any other, and the next is submitted when the one before is committed. No thread of its own.
#pragma once

#include <atomic>

#include "common/clock.h"
#include "store/group_commit.h"

namespace outboxd {

class RemovedEndpoints {
 public:
  RemovedEndpoints(GroupCommit& commits, const Clock& clock) : commits_(commits), clock_(clock) {}

  // Any thread: at start (a removal may have been cut short by a crash) and after each removal.
  void sweep();

 private:
  void step();

  GroupCommit& commits_;
  const Clock& clock_;
  std::atomic<bool> sweeping_{false};
  std::atomic<bool> again_{false};
};

}  // namespace outboxd
