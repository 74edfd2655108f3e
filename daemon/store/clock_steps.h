// How often somebody set the wall clock while this daemon ran, and what the last time was. Nobody decides by it: it is for
// people, who must know why due times and a schedule of theirs no longer agree.
#pragma once

#include <cstdint>

#include "common/mutex.h"
#include "common/time.h"

namespace outboxd {

class ClockSteps {  // any thread
 public:
  struct Seen {
    std::int64_t count = 0;  // since the start; set back between two runs counts as one
    Time last_at{};          // by the clock as it was then set
    Millis last{0};  // negative: back. A machine that slept looks as if its clock had been set forward.
  };
  void add(Time at, Millis by) OUTBOXD_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    seen_ = {seen_.count + 1, at, by};
  }
  Seen seen() const OUTBOXD_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return seen_;
  }

 private:
  mutable Mutex mutex_;
  Seen seen_ OUTBOXD_GUARDED_BY(mutex_);
};

}  // namespace outboxd
