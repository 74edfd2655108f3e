// An executor whose rounds are steps of a simulation: what is posted to it waits until the world lets its thread take a
// step.
#pragma once

#include <algorithm>
#include <deque>
#include <iterator>
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

  void post(Task task) override { (keeping_back_ ? kept_back_ : posted_).push_back(std::move(task)); }
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

  // Runs some of what waits, as the seed decides: timers by time, tasks in the order posted.
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

  // Holds back what `run`, a step of another thread, posts until arrive(), in a later step: the other thread has found
  // something and has not reported it yet.
  template <class Run>
  void keep_back(Run run) {
    keeping_back_ = true;
    run();
    keeping_back_ = false;
  }
  bool keeps_back() const { return !kept_back_.empty(); }
  void arrive() {
    std::ranges::move(kept_back_, std::back_inserter(posted_));
    kept_back_.clear();
  }

  // The thread is gone, with everything it had to do.
  void clear() {
    // Again, because destroying a task may post another.
    while (!posted_.empty() || !kept_back_.empty() || !timers_.empty()) {
      std::deque<Task> posted, kept_back;
      std::map<TimerId, Task> timers;
      posted_.swap(posted);
      kept_back_.swap(kept_back);
      timers_.swap(timers);
    }
  }

 private:
  bool timer_is_due() const { return !timers_.empty() && timers_.begin()->first.first <= now(); }

  const Clock& clock_;
  std::deque<Task> posted_, kept_back_;
  bool keeping_back_ = false;
  std::map<TimerId, Task> timers_;
  std::uint64_t last_timer_ = 0;
  Task after_round_;
};

}  // namespace outboxd::simulation
