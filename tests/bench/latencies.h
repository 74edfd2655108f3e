// How long things took. Every latency here counts from when the thing was due, not from when somebody got
// round to it: a stall is not hidden by the work that it held up (no coordinated omission).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace outboxd::bench {

std::int64_t now_ns();  // CLOCK_MONOTONIC
void sleep_until_ns(std::int64_t when);

// This thread's timers are exact while it lives: the kernel's default slack of 50 µs would be seen in latencies.
class ExactTimers {
 public:
  ExactTimers();
  ~ExactTimers();  // as before, for a process started from here would inherit it
  ExactTimers(const ExactTimers&) = delete;
};

struct Sample {
  std::int64_t due = 0;  // ns; 0: at no time in particular, it has no latency
  std::int64_t at = 0;   // ns
};

class Latencies {
 public:
  Latencies() = default;
  explicit Latencies(const std::vector<Sample>& samples);  // those that were due at some time

  bool empty() const { return sorted_ns_.empty(); }
  std::size_t count() const { return sorted_ns_.size(); }
  double ms(double quantile) const;  // 0.99; the nearest rank. 0 when there are none
  double max_ms() const { return ms(1); }
  // {quantile, ms}, from the median to as far out as there are samples to speak of it.
  std::vector<std::pair<double, double>> curve() const;

 private:
  std::vector<std::int64_t> sorted_ns_;
};

}  // namespace outboxd::bench
