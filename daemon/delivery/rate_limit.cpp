#include "delivery/rate_limit.h"

#include <algorithm>

namespace outboxd {

RateBucket::RateBucket(const RateLimit& limit)
    : limit_(limit),
      burst_(
          static_cast<int>(std::max<std::int64_t>(1, std::int64_t{limit.count} * 100 / limit.per.count()))),
      interval_(std::chrono::nanoseconds(limit.per) / limit.count),
      tolerance_(interval_ * (burst_ - 1)) {}

void RateBucket::take(MonotonicTime now) {
  even_ = std::max(even_, now) + interval_;
}

}  // namespace outboxd
