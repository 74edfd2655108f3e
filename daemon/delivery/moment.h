// Now, on both clocks. What is stored (due times) is compared with the wall clock, which people set; what the
// scheduler alone waits for (pauses, rates, ages) with the monotonic one, which nobody can.
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
