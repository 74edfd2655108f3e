// Where work runs: a thread's event loop, or a simulation that takes one step at a time. An executor runs its tasks one
// at a time, in the order posted, so state that only its tasks touch needs no lock.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "common/time.h"

namespace outboxd {

class Executor {
 public:
  using Task = std::function<void()>;
  using TimerId = std::pair<MonotonicTime, std::uint64_t>;

  virtual ~Executor() = default;
  virtual void post(Task task) = 0;  // any thread
  // Runs `task` once, at `when`. call_at() and cancel() only on the executor's own thread.
  virtual TimerId call_at(MonotonicTime when, Task task) = 0;
  virtual void cancel(TimerId id) = 0;  // no effect if it has run already
  virtual MonotonicTime now() const = 0;

 private:
  friend class WakesTogether;
  virtual void wake() {}  // any thread: whoever runs the tasks, if it sleeps
};

// While it lives, what this thread posts wakes nobody; at its end each executor that had to be woken is woken, once. For
// a thread that answers many at a time. Executors outlive it. Keep it short: a task that others post meanwhile may wait
// for its end too. Not nested.
class WakesTogether {
 public:
  WakesTogether() { here().held = true; }
  ~WakesTogether() {
    Held& held = here();
    held.held = false;
    for (Executor* executor : held.sleeping) executor->wake();
    held.sleeping.clear();
  }
  WakesTogether(const WakesTogether&) = delete;

  // For executors: to wake this one, now or at the end.
  static void wake(Executor& executor) {
    Held& held = here();
    if (!held.held) return executor.wake();
    held.sleeping.push_back(&executor);
  }

 private:
  struct Held {
    bool held = false;
    std::vector<Executor*> sleeping;  // few: one for each event loop
  };
  static Held& here() {
    thread_local Held of_this_thread;
    return of_this_thread;
  }
};

}  // namespace outboxd
