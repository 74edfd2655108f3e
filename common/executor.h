// Where work runs: a thread's event loop, or a simulation that takes one step at a time. An executor runs its tasks one
// at a time, in the order posted, so state that only its tasks touch needs no lock.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

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
};

}  // namespace outboxd
