// Discards what a removed endpoint left behind, in steps that do not hold up other commits: each is a command
// like any other, and the next is submitted when the one before is committed; one that is refused is tried again until
// nothing is left. No thread of its own.
#pragma once

#include <atomic>

#include "common/clock.h"
#include "common/executor.h"
#include "store/group_commit.h"

namespace outboxd {

class RemovedEndpoints {
 public:
  // `executor` waits between tries.
  RemovedEndpoints(GroupCommit& commits, const Clock& clock, Executor& executor)
      : commits_(commits), clock_(clock), executor_(executor) {}

  void hear(const EndpointChanged& fact) {
    if (!fact.now) sweep();
  }
  // Any thread. Begins with what an earlier removal left, which a crash may have cut short.
  void start();
  void stop() { stopped_ = true; }  // after the step that is under way
  void sweep();

  static constexpr std::int64_t kRows = 1000;  // of a step
  static constexpr Millis kFirstWait{100};     // after a refusal; doubled with each
  static constexpr Millis kMaxWait = std::chrono::seconds(10);

 private:
  void step();
  void try_later(const Problem& refused);

  GroupCommit& commits_;
  const Clock& clock_;
  Executor& executor_;
  std::atomic<bool> stopped_{false};
  std::atomic<bool> sweeping_{false};
  std::atomic<bool> again_{false};
  Millis wait_{0};  // of the sweep under way
};

}  // namespace outboxd
