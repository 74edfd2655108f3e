// Where work is done: a thread's event loop, or a simulation that takes one step at a time. What is handed to an
// executor runs there, one task at a time, in the order given; whoever owns state touches it only there.
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
  // Once, then. Both on the executor's own thread alone.
  virtual TimerId call_at(MonotonicTime when, Task task) = 0;
  virtual void cancel(TimerId id) = 0;  // no effect if it has run
  virtual MonotonicTime now() const = 0;
};

}  // namespace outboxd
