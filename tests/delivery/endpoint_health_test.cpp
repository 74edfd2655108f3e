#include "delivery/endpoint_health.h"

#include <doctest/doctest.h>

using namespace outboxd;
using namespace std::chrono_literals;

namespace {

constexpr int kMost = 32;

struct Patient {
  EndpointHealth health;
  std::optional<Millis> disable_after = kDefaultDisableAfter;
  Moment now{from_unix_millis(1'785'000'000'000), MonotonicTime(1h)};

  void pass(Millis time) {
    now.wall += time;
    now.mono += time;
  }
  EndpointHealth::Change attempt(Outcome outcome, int status, Millis took = 10ms) {
    const MonotonicTime sent_at = now.mono;
    const bool probe = health.started();
    pass(took);
    return health.ended({.outcome = outcome,
                         .status = status,
                         .took = took,
                         .sent_at = sent_at,
                         .probe = probe,
                         .slow_down = status == 503,
                         .asked = {},
                         .longest_pause = 24h,
                         .disable_after = disable_after},
                        kMost, now);
  }
  EndpointHealth::Change succeed(Millis took = 10ms) { return attempt(Outcome::kSuccess, 200, took); }
  EndpointHealth::Change fail() { return attempt(Outcome::kHttp5xx, 500); }
  Millis pause() const { return std::chrono::floor<Millis>(health.paused_until() - now.mono); }
};

}  // namespace

TEST_CASE("the allowance grows with each success until there is trouble, and then carefully") {
  Patient p;
  CHECK(p.health.limit(kMost) == 5);
  for (int i = 0; i < 15; ++i) p.succeed();
  CHECK(p.health.limit(kMost) == 20);
  p.fail();
  CHECK(p.health.limit(kMost) == 19);
  for (int i = 0; i < 19; ++i) p.succeed();
  CHECK(p.health.limit(kMost) == 20);
  for (int i = 0; i < 1000; ++i) p.succeed();
  CHECK(p.health.limit(kMost) == kMost);
}

TEST_CASE("trouble costs half of the share that it has among recent answers") {
  Patient rare;
  for (int i = 0; i < 2000; ++i) i % 20 == 0 ? rare.fail() : rare.succeed();
  CHECK(rare.health.limit(kMost) > kMost / 2);
  Patient often;
  for (int i = 0; i < 2000; ++i) i % 2 == 0 ? often.fail() : often.succeed();
  CHECK(often.health.limit(kMost) < 4);
}

TEST_CASE("requests that fail together are one piece of trouble") {
  Patient p;
  for (int i = 0; i < 27; ++i) p.succeed();
  CHECK(p.health.limit(kMost) == 32);
  const MonotonicTime sent_at = p.now.mono;
  p.pass(1s);
  for (int i = 0; i < 4; ++i) {
    p.health.ended({.outcome = Outcome::kConnect, .sent_at = sent_at, .asked = {}, .longest_pause = 24h},
                   kMost, p.now);
  }
  CHECK(p.health.limit(kMost) == 31);
}

TEST_CASE("a 4xx is about its event and costs no allowance; 429 does") {
  Patient p;
  p.attempt(Outcome::kHttp4xx, 422);
  CHECK(p.health.limit(kMost) == 5);
  p.attempt(Outcome::kHttp4xx, 429);
  CHECK(p.health.limit(kMost) == 4);
}

TEST_CASE("an endpoint whose answers take ever longer gets fewer at a time, a merely slow one does not") {
  Patient slow;
  for (int i = 0; i < 100; ++i) slow.succeed(900ms);
  CHECK(slow.health.limit(kMost) == kMost);
  Patient queueing;
  for (int i = 0; i < 100; ++i) queueing.succeed(20ms);
  for (int i = 0; i < 150; ++i) queueing.succeed(800ms);
  CHECK(queueing.health.limit(kMost) < 20);
}

TEST_CASE("five failures in a row open the breaker; its pauses double up to five minutes") {
  Patient p;
  for (int i = 0; i < 4; ++i) p.fail();
  CHECK_FALSE(p.health.is_open());
  const auto tripped = p.fail();
  CHECK(p.health.is_open());
  CHECK(p.health.service_class() == ServiceClass::kFailing);
  REQUIRE(tripped.failing_since);
  CHECK(*tripped.failing_since);
  for (const Millis expected : {Millis(1s), Millis(2s), Millis(4s)}) {
    CHECK(p.pause() == expected);
    CHECK_FALSE(p.health.may_start(0, kMost, p.now.mono));
    p.pass(p.pause());
    CHECK(p.health.may_start(0, kMost, p.now.mono));
    p.fail();
  }
  for (int i = 0; i < 10; ++i) {
    p.pass(p.pause());
    p.fail();
  }
  CHECK(p.pause() == 5min);
}

TEST_CASE("no pause is longer than the longest wait of the endpoint's schedule") {
  EndpointHealth health;
  const Moment now{from_unix_millis(1'785'000'000'000), MonotonicTime(1h)};
  for (int i = 0; i < 5; ++i) {
    health.ended({.outcome = Outcome::kTimeout, .sent_at = now.mono, .asked = {}, .longest_pause = 100ms},
                 kMost, now);
  }
  CHECK(health.paused_until() == now.mono + 100ms);
}

TEST_CASE("a 503 now and then pauses nothing; one among mostly failures does, a 500 does not") {
  Patient p;
  for (int i = 0; i < 1000; ++i) {
    i % 4 == 0 ? p.attempt(Outcome::kHttp5xx, 503) : p.succeed();
    REQUIRE(p.health.may_start(0, kMost, p.now.mono));
  }
  for (int i = 0; i < 200; ++i) i % 4 == 0 ? p.succeed() : p.fail();
  p.fail();
  CHECK(p.health.may_start(0, kMost, p.now.mono));
  p.attempt(Outcome::kHttp5xx, 503);
  CHECK(p.pause() == 1s);
  p.attempt(Outcome::kHttp5xx, 503);
  CHECK(p.pause() == 990ms);  // it was under way with the other one
}

TEST_CASE("a success ends a pause of our own, but not one that was asked for") {
  Patient p;
  for (int i = 0; i < 5; ++i) p.attempt(Outcome::kHttp5xx, 503);
  CHECK_FALSE(p.health.may_start(0, kMost, p.now.mono));
  p.succeed();
  CHECK(p.health.may_start(0, kMost, p.now.mono));
  p.health.ended({.outcome = Outcome::kHttp4xx, .status = 429, .asked = 30s}, kMost, p.now);
  p.succeed();
  p.health.try_now(p.now.mono);
  CHECK_FALSE(p.health.may_start(0, kMost, p.now.mono));
}

TEST_CASE(
    "what the address policy refused opens the breaker like any failure: a backlog does not run against it") {
  Patient p;
  for (int i = 0; i < kTripAfter; ++i) p.attempt(Outcome::kBlocked, 0);
  CHECK(p.health.is_open());
  CHECK_FALSE(p.health.may_start(0, kMost, p.now.mono));
}

TEST_CASE("begun anew, nothing is known, but for the end of a failure that was stored") {
  Patient p;
  for (int i = 0; i < kTripAfter; ++i) p.attempt(Outcome::kHttp5xx, 500);
  p.health.ended({.outcome = Outcome::kHttp4xx, .status = 429, .asked = 1h}, kMost, p.now);
  p.health.begin_anew();
  CHECK_FALSE(p.health.is_open());
  CHECK(p.health.may_start(0, kMost, p.now.mono));
  const EndpointHealth::Attempted success{.outcome = Outcome::kSuccess, .status = 200, .asked = {}};
  const auto change = p.health.ended(success, kMost, p.now);
  CHECK_FALSE(change.recovered);
  REQUIRE(change.failing_since);
  CHECK_FALSE(*change.failing_since);
  CHECK_FALSE(p.health.ended(success, kMost, p.now).failing_since);
}

TEST_CASE("an endpoint is prompt while its attempts come back within a second, whatever they say") {
  Patient p;
  CHECK(p.health.service_class() == ServiceClass::kUnproven);
  p.attempt(Outcome::kHttp4xx, 404);
  CHECK(p.health.service_class() == ServiceClass::kPrompt);
  p.attempt(Outcome::kTimeout, 0, 20s);
  CHECK(p.health.service_class() == ServiceClass::kUnproven);
}

TEST_CASE("that an endpoint asks for less is said once until it succeeds again") {
  Patient p;
  const EndpointHealth::Attempted asks{.outcome = Outcome::kHttp4xx,
                                       .status = 429,
                                       .took = 10ms,
                                       .slow_down = true,
                                       .asked = 30s,
                                       .longest_pause = 24h};
  const auto first = p.health.ended(asks, kMost, p.now);
  REQUIRE(first.slowed_for);
  CHECK(*first.slowed_for == 30s);
  CHECK_FALSE(p.health.ended(asks, kMost, p.now).slowed_for);
  p.pass(31s);
  CHECK_FALSE(p.health.ended(asks, kMost, p.now).slowed_for);
  p.pass(31s);
  p.succeed();
  CHECK(p.health.ended(asks, kMost, p.now).slowed_for);
  Patient other;
  CHECK_FALSE(other.fail().slowed_for);
}

TEST_CASE(
    "an endpoint is disabled when it has failed for as long as it says, and not at all if it says never") {
  const auto disabled_after = [](std::optional<Millis> disable_after, Millis failing) {
    Patient p;
    p.disable_after = disable_after;
    for (int i = 0; i < 2 * kTripAfter; ++i) CHECK_FALSE(p.fail().disable);
    p.pass(failing);
    return p.fail().disable;
  };
  CHECK_FALSE(disabled_after(1min, 59s));
  CHECK(disabled_after(1min, 1min));
  CHECK_FALSE(disabled_after(kDefaultDisableAfter, 24h * 5 - 1s));
  CHECK(disabled_after(kDefaultDisableAfter, 24h * 5));
  CHECK_FALSE(disabled_after(std::nullopt, 24h * 365));
}

TEST_CASE("few failures in a row disable nobody, however far apart they are") {
  Patient p;
  p.disable_after = 1min;
  for (int i = 1; i < kTripAfter; ++i) {
    CHECK_FALSE(p.fail().disable);
    p.pass(1h);
  }
  CHECK(p.fail().disable);
}
