#include "bench/latencies.h"

#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <ctime>

namespace outboxd::bench {

std::int64_t now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

void sleep_until_ns(std::int64_t when) {
  const timespec time{.tv_sec = when / 1'000'000'000, .tv_nsec = when % 1'000'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr) == EINTR) {
  }
}

ExactTimers::ExactTimers() {
  prctl(PR_SET_TIMERSLACK, 1);
}

ExactTimers::~ExactTimers() {
  prctl(PR_SET_TIMERSLACK, 0);  // the default
}

Latencies::Latencies(const std::vector<Sample>& samples) {
  sorted_ns_.reserve(samples.size());
  for (const Sample& sample : samples) {
    if (sample.due != 0) sorted_ns_.push_back(sample.at - sample.due);
  }
  std::ranges::sort(sorted_ns_);
}

double Latencies::ms(double quantile) const {
  if (sorted_ns_.empty()) return 0;
  const double rank = std::ceil(quantile * static_cast<double>(sorted_ns_.size()));
  const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  return static_cast<double>(sorted_ns_[std::min(index, sorted_ns_.size() - 1)]) / 1e6;
}

std::vector<std::pair<double, double>> Latencies::curve() const {
  std::vector<std::pair<double, double>> points;
  for (const double quantile : {0.5, 0.6, 0.7, 0.8, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.993, 0.995, 0.997,
                                0.998, 0.999, 0.9995, 0.9999}) {
    // At least one sample has to lie beyond it, else it is the maximum under another name.
    if ((1 - quantile) * static_cast<double>(sorted_ns_.size()) < 1) break;
    points.emplace_back(quantile, ms(quantile));
  }
  return points;
}

}  // namespace outboxd::bench
