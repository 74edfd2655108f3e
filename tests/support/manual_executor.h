// An executor whose tasks run when the test says so, and whose time is the test's clock.
#pragma once

#include <deque>
#include <map>
#include <optional>

#include "common/clock.h"
#include "common/executor.h"

namespace outboxd::test {

class ManualExecutor final : public Executor {
 public:
  explicit ManualExecutor(const Clock& clock) : clock_(clock) {}

  void post(Task task) override { posted_.push_back(std::move(task)); }
  TimerId call_at(MonotonicTime when, Task task) override {
    const TimerId id{when, ++last_timer_};
    timers_.emplace(id, std::move(task));
    return id;
  }
  void cancel(TimerId id) override { timers_.erase(id); }
  MonotonicTime now() const override { return clock_.monotonic(); }

  // Time until the next timer is due; absent: there is no timer.
  std::optional<Millis> next_wait() const {
    if (timers_.empty()) return std::nullopt;
    return std::chrono::ceil<Millis>(timers_.begin()->first.first - now());
  }

  // Runs one task, or one timer that is due. False: there was none.
  bool step() {
    Task task;
    if (!posted_.empty()) {
      task = std::move(posted_.front());
      posted_.pop_front();
    } else if (!timers_.empty() && timers_.begin()->first.first <= now()) {
      task = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
    } else {
      return false;
    }
    task();
    return true;
  }

 private:
  const Clock& clock_;
  std::deque<Task> posted_;
  std::map<TimerId, Task> timers_;
  std::uint64_t last_timer_ = 0;
};

}  // namespace outboxd::test
