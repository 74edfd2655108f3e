#include <doctest/doctest.h>

#include <utility>
#include <vector>

#include "store/due_clock.h"

using namespace outboxd;
using namespace std::chrono_literals;

namespace {

Time due_time(DueClock& due, const Clock& clock) {
  CHECK(due.now() == clock.wall() + due.ahead());
  return due.now();
}

}  // namespace

TEST_CASE("due time goes on where it was when the clock is set back") {
  ManualClock clock;
  DueClock due(clock, {});
  const Time start = due_time(due, clock);
  CHECK(start == clock.wall());
  clock.advance(10s);
  clock.step_wall(-24h * 400);
  CHECK(due_time(due, clock) == start + 10s);
  clock.advance(5s);
  clock.step_wall(-1h);
  clock.advance(5s);
  CHECK(due_time(due, clock) == start + 20s);
  CHECK(due.take_step() == DueClock::Step::kNone);
}

TEST_CASE("a step forward is not undone, and one back to the truth afterwards is") {
  ManualClock clock;
  DueClock due(clock, {});
  const Time start = due_time(due, clock);
  clock.step_wall(24h * 400);
  CHECK(due_time(due, clock) == start + 24h * 400);
  CHECK(due.take_step() == DueClock::Step::kFarForward);
  CHECK(due.take_step() == DueClock::Step::kNone);
  clock.step_wall(-24h * 400);
  CHECK(due_time(due, clock) == start + 24h * 400);
}

TEST_CASE("drift is followed and not taken for a step") {
  ManualClock clock;
  DueClock due(clock, {});
  for (int i = 0; i < 100; ++i) {
    clock.advance(1s);
    clock.step_wall(-DueClock::kStep);
    CHECK(due.ahead() == 0ms);
    clock.step_wall(DueClock::kStep);
    CHECK(due.take_step() == DueClock::Step::kNone);
  }
}

TEST_CASE("a step forward is told once, and the longest of several") {
  ManualClock clock;
  DueClock due(clock, {});
  clock.step_wall(DueClock::kStep + 1ms);
  CHECK(due.take_step() == DueClock::Step::kForward);
  clock.step_wall(DueClock::kJump + 1ms);
  due.ahead();
  clock.step_wall(1s);
  CHECK(due.take_step() == DueClock::Step::kFarForward);
  CHECK(due.take_step() == DueClock::Step::kNone);
}

TEST_CASE("a clock that was set back between two runs is noticed by the time of the last commit") {
  ManualClock clock;
  DueClock before(clock, {});
  clock.step_wall(-1h);
  const DueClock::State stored = before.state();
  CHECK(stored.ahead == 1h);
  clock.advance(10s);
  SUBCASE("set back again") {
    clock.step_wall(-2h);
    DueClock after(clock, stored);
    CHECK(due_time(after, clock) == stored.last);
    CHECK(after.take_step() == DueClock::Step::kNone);
  }
  SUBCASE("not set back") {
    DueClock after(clock, stored);
    CHECK(due_time(after, clock) == stored.last + 10s);
    CHECK(after.take_step() == DueClock::Step::kNone);
  }
  SUBCASE("far ahead") {
    clock.step_wall(24h * 400);
    DueClock after(clock, stored);
    CHECK(after.take_step() == DueClock::Step::kFarForward);
  }
}

TEST_CASE("each step of the clock is told once, with its size and the time that the clock shows then") {
  ManualClock clock;
  std::vector<std::pair<Time, Millis>> steps;
  DueClock due(clock, {}, [&](Time at, Millis by) { steps.emplace_back(at, by); });
  clock.advance(10s);
  clock.step_wall(DueClock::kStep);
  due.ahead();
  CHECK(steps.empty());
  clock.step_wall(-1h);
  const Time back = clock.wall();
  due.ahead();
  due.state();
  clock.step_wall(2h);
  const Time forward = clock.wall();
  due.take_step();
  REQUIRE(steps.size() == 2);
  CHECK(steps[0] == std::pair<Time, Millis>(back, -1h));
  CHECK(steps[1] == std::pair<Time, Millis>(forward, 2h));
}

TEST_CASE("a clock that was set back since the last run has made a step") {
  ManualClock clock;
  Millis told{0};
  const auto note = [&](Time, Millis by) { told = by; };
  const DueClock later(clock, {.ahead = 0ms, .last = clock.wall() - 48h}, note);
  CHECK(told == 0ms);
  const DueClock earlier(clock, {.ahead = 0ms, .last = clock.wall() + 5s}, note);
  CHECK(told == -5s);
}
