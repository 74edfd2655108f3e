// An executor of which every round is a step of a simulation: what was handed to it waits until the world says that its
// thread runs.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <random>

#include "common/clock.h"
#include "common/executor.h"

namespace outboxd::simulation {

class StepExecutor final : public Executor {
 public:
  explicit StepExecutor(const Clock& clock) : clock_(clock) {}
  StepExecutor(const StepExecutor&) = delete;

  void post(Task task) override { posted_.push_back(std::move(task)); }
  TimerId call_at(MonotonicTime when, Task task) override {
    const TimerId id{when, ++last_timer_};
    timers_.emplace(id, std::move(task));
    return id;
  }
  void cancel(TimerId id) override { timers_.erase(id); }
  MonotonicTime now() const override { return clock_.monotonic(); }
  void after_each_round(Task task) { after_round_ = std::move(task); }

  bool has_work() const { return !posted_.empty() || timer_is_due(); }
  std::optional<MonotonicTime> next_timer() const {
    if (timers_.empty()) return std::nullopt;
    return timers_.begin()->first.first;
  }

  // Some of what waits, as the seed has it: timers by time, tasks in the order given.
  void run_round(std::mt19937_64& random) {
    const int most = 1 + static_cast<int>(random() % 4);
    for (int n = 0; n < most && has_work(); ++n) {
      const bool timer = timer_is_due() && (posted_.empty() || random() % 2 == 0);
      Task task;
      if (timer) {
        task = std::move(timers_.extract(timers_.begin()).mapped());
      } else {
        task = std::move(posted_.front());
        posted_.pop_front();
      }
      task();
    }
    if (after_round_) after_round_();
  }

  // Its thread is gone, with what it had to do.
  void clear() {
    while (!posted_.empty() || !timers_.empty()) {  // what is dropped may hand on something
      std::deque<Task> posted;
      std::map<TimerId, Task> timers;
      posted_.swap(posted);
      timers_.swap(timers);
    }
  }

 private:
  bool timer_is_due() const { return !timers_.empty() && timers_.begin()->first.first <= now(); }

  const Clock& clock_;
  std::deque<Task> posted_;
  std::map<TimerId, Task> timers_;
  std::uint64_t last_timer_ = 0;
  Task after_round_;
};

}  // namespace outboxd::simulation
