// A token bucket, stored as the single number of the generic cell rate algorithm (ITU-T I.371): when the next token
// would be due if tokens were handed out evenly. In any period T at most T * rate + burst requests start.
#pragma once

#include <chrono>

#include "common/endpoint.h"

namespace outboxd {

class RateBucket {
 public:
  // The burst is what the rate allows in a tenth of a second, at least 1: enough to make up for late timers, too little
  // to trouble a subscriber who counts per second.
  explicit RateBucket(const RateLimit& limit);

  const RateLimit& limit() const { return limit_; }
  int burst() const { return burst_; }
  MonotonicTime ready_at() const { return even_ - tolerance_; }  // a request may start at this time
  void take(MonotonicTime now);

 private:
  RateLimit limit_;
  int burst_;
  std::chrono::nanoseconds interval_;
  std::chrono::nanoseconds tolerance_;
  MonotonicTime even_{};  // when the next token would be due at an even pace
};

}  // namespace outboxd
