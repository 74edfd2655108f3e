// The only source of time. Whatever needs the time is given a Clock, so that tests can control it.
#pragma once

#include "common/time.h"

namespace outboxd {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time wall() const = 0;
  virtual MonotonicTime monotonic() const = 0;
};

class SystemClock final : public Clock {
 public:
  Time wall() const override { return std::chrono::floor<Millis>(std::chrono::system_clock::now()); }
  MonotonicTime monotonic() const override { return std::chrono::steady_clock::now(); }
};

// A clock that moves only when told to. Not thread safe: set it before the threads start, or from the only thread that
// reads it.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Time start = from_unix_millis(1'767'225'600'000)) : wall_(start) {}
  Time wall() const override { return wall_; }
  MonotonicTime monotonic() const override { return monotonic_; }
  void advance(Millis by) {
    wall_ += by;
    monotonic_ += by;
  }
  void step_wall(Millis by) { wall_ += by; }  // somebody set the clock

 private:
  Time wall_;
  MonotonicTime monotonic_{};
};

}  // namespace outboxd
