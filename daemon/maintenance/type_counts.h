// Has accepted events counted by type (StoreReader::event_types) about once a second while there are some that are not
// counted yet; otherwise it does nothing at all. Events whose count is lost with the process, or that were accepted
// before there were counts, are counted after the next start. No thread of its own.
#pragma once

#include <atomic>

#include "common/executor.h"
#include "store/group_commit.h"

namespace outboxd {

class TypeCounts {
 public:
  // `executor` runs the waits between steps.
  TypeCounts(GroupCommit& commits, Executor& executor) : commits_(commits), executor_(executor) {}

  void start();            // any thread
  void stop();             // any thread; a step under way is finished
  void events_accepted();  // any thread; to be told after each commit that accepted some

  static constexpr Millis kInterval = std::chrono::seconds(1);
  static constexpr Millis kPause{10};  // between two steps while there are more

 private:
  void schedule();
  void later(Millis wait);
  void step();

  GroupCommit& commits_;
  Executor& executor_;
  std::atomic<bool> running_{false};
  std::atomic<bool> uncounted_{false};  // some were accepted since the last step began
  std::atomic<bool> scheduled_{false};  // a step is waited for, or under way
};

}  // namespace outboxd
