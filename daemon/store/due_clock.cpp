#include "store/due_clock.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "telemetry/log.h"

namespace outboxd {
namespace {

constexpr Millis kHeldUp{50};

// Absent: the thread was delayed between reading the two clocks.
std::optional<Millis> difference(const Clock& clock) {
  const MonotonicTime before = clock.monotonic();
  const Time wall = clock.wall();
  const MonotonicTime after = clock.monotonic();
  if (after - before > kHeldUp) return std::nullopt;
  return wall.time_since_epoch() - std::chrono::floor<Millis>(before.time_since_epoch());
}

}  // namespace

DueClock::DueClock(const Clock& clock, State stored, OnStep on_step)
    : clock_(clock), on_step_(std::move(on_step)), state_(stored) {
  std::optional<Millis> found;
  while (!found) found = difference(clock_);
  wall_minus_mono_ = *found;
  if (stored.last == Time{}) return;
  const Millis since = clock_.wall() + stored.ahead - stored.last;
  if (since < -kStep) {
    state_.ahead -= since;
    report(since);
    log::warn("the clock was set back since the last run; what is due stays due", {{"ms", -since.count()}});
  } else if (since > kJumpWhileDown) {
    step_ = Step::kFarForward;
  }
}

void DueClock::report(Millis step) const {
  if (on_step_) on_step_(clock_.wall(), step);
}

void DueClock::look() {
  const auto found = difference(clock_);
  if (!found) return;
  const Millis step = *found - wall_minus_mono_;
  wall_minus_mono_ = *found;
  if (step < -kStep || step > kStep) report(step);
  if (step < -kStep) {
    state_.ahead -= step;
    log::warn("the clock was set back; what is due stays due", {{"ms", -step.count()}});
  } else if (step > kJump) {
    step_ = Step::kFarForward;
    log::warn("the clock jumped forward", {{"ms", step.count()}});
  } else if (step > kStep) {
    step_ = std::max(step_, Step::kForward);
  }
}

Millis DueClock::ahead() {
  const MutexLock lock(mutex_);
  look();
  return state_.ahead;
}

DueClock::State DueClock::state() {
  const MutexLock lock(mutex_);
  look();
  state_.last = clock_.wall() + state_.ahead;
  return state_;
}

DueClock::Step DueClock::take_step() {
  const MutexLock lock(mutex_);
  look();
  return std::exchange(step_, Step::kNone);
}

}  // namespace outboxd
