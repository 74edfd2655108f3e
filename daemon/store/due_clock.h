// The clock that due times on disk are told by: the wall clock, but that it never goes back.
//
// A wall clock that is set back by an hour (by a year, after a glitch) would make everything that is due within
// that time wait for it to catch up. So due times are stored as wall time + ahead(), and ahead() grows by each
// step back: whatever waited goes on waiting for as long as it would have. A step forward is not undone, for it
// cannot be told from a machine that slept; it makes what falls due in the skipped time due at once.
#pragma once

#include "common/clock.h"
#include "common/mutex.h"

namespace outboxd {

class DueClock {  // any thread
 public:
  // What the store keeps of it. `last` is due time at the last commit; unset before the first.
  struct State {
    Millis ahead{0};
    Time last{};
  };
  DueClock(const Clock& clock, State stored);

  // Each of these looks at the clocks.
  Millis ahead() OUTBOXD_EXCLUDES(mutex_);                      // due time - wall time
  Time now() OUTBOXD_EXCLUDES(mutex_) { return state().last; }  // due time
  State state() OUTBOXD_EXCLUDES(mutex_);
  // The longest step forward that was seen since this was asked last.
  enum class Step {
    kNone,
    kForward,
    kFarForward,  // somebody may have set the clock wrongly
  };
  Step take_step() OUTBOXD_EXCLUDES(mutex_);

  static constexpr Millis kStep{250};                       // less is drift, or a thread that was held up
  static constexpr Millis kJump = std::chrono::minutes(1);  // far, while running
  static constexpr Millis kJumpWhileDown = std::chrono::days(1);  // time passes between two runs

 private:
  void look() OUTBOXD_REQUIRES(mutex_);

  const Clock& clock_;
  Mutex mutex_;
  State state_ OUTBOXD_GUARDED_BY(mutex_);
  Millis wall_minus_mono_ OUTBOXD_GUARDED_BY(mutex_);  // when it was last looked at
  Step step_ OUTBOXD_GUARDED_BY(mutex_) = Step::kNone;
};

}  // namespace outboxd
