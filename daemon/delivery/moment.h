// The current time on both clocks. Times that an event asks for (deliver_at, expires_at) are compared with the wall
// clock, which people set; everything the scheduler waits for (due times, pauses, rates, ages) is measured on the
// monotonic clock, which nobody can set.
#pragma once

#include "common/clock.h"

namespace outboxd {

struct Moment {
  Time wall{};
  MonotonicTime mono{};
};

inline Moment moment_of(const Clock& clock) {
  return {clock.wall(), clock.monotonic()};
}

}  // namespace outboxd
