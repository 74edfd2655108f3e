// The clock for due times on disk: the wall clock, except that it never goes back.
//
// If the wall clock were used as it is and someone set it back by an hour (or, after a glitch, a year), every delivery
// due within that time would wait for the clock to catch up. So due times are stored as wall time + ahead(), and
// ahead() grows by each step back: whatever waits goes on waiting only for as long as it would have. A step forward is
// not compensated, because it cannot be told from a machine that slept; deliveries whose due time it skips become due
// at once.
#pragma once

#include <functional>

#include "common/clock.h"
#include "common/mutex.h"

namespace outboxd {

class DueClock {  // any thread
 public:
  // The part that is stored. `last` is the due time at the last commit, zero before the first.
  struct State {
    Millis ahead{0};
    Time last{};
  };
  // Called for each step, at the time that the clock shows now, on the thread that saw it and with the lock held.
  using OnStep = std::function<void(Time at, Millis by)>;
  DueClock(const Clock& clock, State stored, OnStep on_step = {});

  // Each of these calls reads both clocks.
  Millis ahead() OUTBOXD_EXCLUDES(mutex_);                      // due time - wall time
  Time now() OUTBOXD_EXCLUDES(mutex_) { return state().last; }  // due time
  State state() OUTBOXD_EXCLUDES(mutex_);
  // The longest step forward seen since the last call.
  enum class Step {
    kNone,
    kForward,
    kFarForward,  // somebody may have set the clock wrongly
  };
  Step take_step() OUTBOXD_EXCLUDES(mutex_);

  static constexpr Millis kStep{250};  // anything less is drift, or a thread that was delayed
  static constexpr Millis kJump = std::chrono::minutes(1);        // counts as far while the daemon runs
  static constexpr Millis kJumpWhileDown = std::chrono::days(1);  // at a start: time passes between two runs

 private:
  void look() OUTBOXD_REQUIRES(mutex_);

  void report(Millis step) const;

  const Clock& clock_;
  const OnStep on_step_;
  Mutex mutex_;
  State state_ OUTBOXD_GUARDED_BY(mutex_);
  Millis wall_minus_mono_ OUTBOXD_GUARDED_BY(mutex_);  // when the clocks were last read
  Step step_ OUTBOXD_GUARDED_BY(mutex_) = Step::kNone;
};

}  // namespace outboxd
