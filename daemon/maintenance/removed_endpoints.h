// Discards what a removed endpoint left behind, in steps that do not hold up other commits: each is a command
// like any other, and the next is submitted when the one before is committed; one that is refused is tried again until
// nothing is left. No thread of its own.
#pragma once

#include <atomic>
#include <functional>

#include "common/clock.h"
#include "store/group_commit.h"

namespace outboxd {

class RemovedEndpoints {
 public:
  // Runs a task so much later, on whatever thread.
  using Later = std::function<void(Millis, std::function<void()>)>;
  RemovedEndpoints(GroupCommit& commits, const Clock& clock, Later later)
      : commits_(commits), clock_(clock), later_(std::move(later)) {}

  // Any thread: at start (a removal may have been cut short by a crash) and after each removal.
  void sweep();

  static constexpr std::int64_t kRows = 1000;  // of a step
  static constexpr Millis kFirstWait{100};     // after a refusal; doubled with each
  static constexpr Millis kLongestWait = std::chrono::seconds(10);

 private:
  void step();
  void try_later(const Problem& refused);

  GroupCommit& commits_;
  const Clock& clock_;
  const Later later_;
  std::atomic<bool> sweeping_{false};
  std::atomic<bool> again_{false};
  Millis wait_{0};  // of the sweep under way
};

}  // namespace outboxd
