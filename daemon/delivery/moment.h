// Now, on both clocks. What an event asks for (deliver_at, expires_at) is compared with the wall clock, which people set;
// what the scheduler waits for (due times, pauses, rates, ages) with the monotonic one, which nobody can.
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
