#include "delivery/rate_limit.h"

#include <doctest/doctest.h>

using namespace outboxd;
using namespace std::chrono_literals;

namespace {

// How many requests start in `time` if one starts whenever it may.
int count(const RateLimit& limit, Millis time) {
  RateBucket bucket(limit);
  const MonotonicTime begin(24h);
  int taken = 0;
  for (MonotonicTime now = begin; now < begin + time; now = std::max(now, bucket.ready_at())) {
    if (bucket.ready_at() > now) continue;
    bucket.take(now);
    ++taken;
  }
  return taken;
}

}  // namespace

TEST_CASE("no more than the rate and one burst start in any time") {
  CHECK(count({100, 1s}, 1s) == 109);
  CHECK(count({100, 1s}, 10s) == 1009);
  CHECK(count({1, 1s}, 10s) == 10);
  CHECK(count({30, 1min}, 1min) == 30);
  CHECK(count({1, 24h}, 48h) == 2);
}

TEST_CASE("the burst is a tenth of a second's worth, at least one") {
  CHECK(RateBucket({1000, 1s}).burst() == 100);
  CHECK(RateBucket({5, 1s}).burst() == 1);
  CHECK(RateBucket({6000, 1min}).burst() == 10);
  CHECK(RateBucket({kMaxRate, 1s}).burst() == kMaxRate / 10);
}

TEST_CASE("time in which nothing was sent is not saved up beyond the burst") {
  RateBucket bucket({10, 1s});
  const MonotonicTime now(24h);
  bucket.take(now);
  CHECK(bucket.ready_at() == now + 100ms);
  bucket.take(now + 1h);
  CHECK(bucket.ready_at() == now + 1h + 100ms);
}
