#include "runtime/timer_queue.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

using namespace outboxd;
using namespace std::chrono_literals;

TEST_CASE("timers come by time, and equal ones in the order they were added, whatever is cancelled between") {
  std::mt19937 random(7);
  TimerQueue timers;
  int ran = 0;
  // What is to come, by time and order: the numbers that the tasks will put into `ran`.
  std::map<std::pair<MonotonicTime, int>, TimerQueue::Id> expected;
  for (int n = 1; n <= 20'000; ++n) {
    const auto dice = random() % 10;
    if (dice < 5 || expected.empty()) {
      const MonotonicTime when{std::chrono::milliseconds(random() % 500)};
      expected.emplace(std::pair(when, n), timers.add(when, [&ran, n] { ran = n; }));
    } else if (dice < 8) {
      const auto victim = std::next(expected.begin(), static_cast<long>(random() % expected.size()));
      timers.cancel(victim->second);
      timers.cancel(victim->second);  // again: no effect, also on the timer that takes its place
      expected.erase(victim);
    } else {
      const auto [when, number] = expected.begin()->first;
      REQUIRE(timers.first() == when);
      REQUIRE_FALSE(timers.has_due(when - 1ns));
      REQUIRE(timers.has_due(when));
      timers.take_first()();
      REQUIRE(ran == number);
      expected.erase(expected.begin());
    }
    REQUIRE(timers.empty() == expected.empty());
  }
}

TEST_CASE("a timer added in a round waits for its end, and may be cancelled before") {
  TimerQueue timers;
  std::vector<int> ran;
  const MonotonicTime now{1s};
  timers.add(now, [&] { ran.push_back(1); });
  timers.begin_round();
  timers.add(now - 1s, [&] { ran.push_back(2); });
  const auto never = timers.add(now - 1s, [&] { ran.push_back(3); });
  while (timers.has_due(now)) timers.take_first()();
  CHECK(ran == std::vector{1});
  CHECK_FALSE(timers.empty());
  timers.cancel(never);
  const auto later = timers.add(now, [&] { ran.push_back(4); });  // in the place of the cancelled one
  timers.end_round();
  CHECK(timers.first() == now - 1s);
  while (timers.has_due(now)) timers.take_first()();
  CHECK(ran == std::vector{1, 2, 4});
  timers.cancel(later);  // it has run
  timers.cancel({});
  CHECK(timers.empty());
}

TEST_CASE("what a cancelled timer owns may set timers when it is destroyed") {
  TimerQueue timers;
  const MonotonicTime now{1s};
  int ran = 0;
  std::shared_ptr<int> owned(&ran, [&](const int*) {
    for (int i = 0; i < 100; ++i) timers.add(now, [&ran] { ++ran; });  // more than there is room for
  });
  const auto cancelled = timers.add(now, [owned = std::move(owned)] {});
  timers.cancel(cancelled);
  timers.cancel(cancelled);  // no effect
  timers.add(now, [&ran] { ++ran; });
  timers.add(now, [&ran] { ++ran; });
  while (timers.has_due(now)) timers.take_first()();
  CHECK(ran == 102);
}
