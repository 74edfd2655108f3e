// Time since the machine started. It goes on while the machine sleeps and nobody can set it, which a steady clock and a
// wall clock do not both promise: who was asleep must find that its time is over.
#pragma once

#include <chrono>
#include <ctime>
#include <functional>

namespace outboxd::postgresql {

using BootTime = std::chrono::nanoseconds;
using BootNow = std::function<BootTime()>;  // any thread

inline BootTime boot_now() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace outboxd::postgresql
