// Discards the pending deliveries of removed endpoints, in steps that do not hold up other commits: each is an ordinary
// command, submitted when the previous one is committed; a refused one is retried until nothing is left. No thread of
// its own.
#pragma once

#include <atomic>

#include "common/clock.h"
#include "common/executor.h"
#include "store/group_commit.h"

namespace outboxd {

class RemovedEndpoints {
 public:
  // `executor` runs the waits between tries.
  RemovedEndpoints(GroupCommit& commits, const Clock& clock, Executor& executor)
      : commits_(commits), clock_(clock), executor_(executor) {}

  void hear(const EndpointChanged& fact) {
    if (!fact.now) sweep();
  }
  // Any thread. Begins with what earlier removals left, which a crash may have cut short.
  void start();
  void stop() { stopped_ = true; }  // after the step under way
  void sweep();

  static constexpr std::int64_t kRows = 1000;  // per step
  static constexpr Millis kFirstWait{100};     // after a refusal; doubled with each further one
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
  Millis wait_{0};  // of the current sweep
};

}  // namespace outboxd
