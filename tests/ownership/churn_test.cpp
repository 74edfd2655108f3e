#include "ownership/churn.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdio>

using namespace outboxd;
using namespace outboxd::postgresql;
using namespace std::chrono_literals;

namespace {

constexpr int kMembers = 100;
constexpr bool kTooSlow =
    OUTBOXD_IS_SANITIZED;  // one thread and much arithmetic: minutes, for what they can find

double seconds(Millis time) {
  return std::chrono::duration<double>(time).count();
}
Millis quantile(std::vector<Millis> values, double q) {
  if (values.empty()) return 0ms;
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}
void print_gaps(const char* what, const std::vector<Millis>& gaps) {
  std::printf("  %-22s %5zu partitions without an owner for: median %4.1f s, p99 %4.1f s, at most %4.1f s\n",
              what, gaps.size(), seconds(quantile(gaps, 0.5)), seconds(quantile(gaps, 0.99)),
              seconds(quantile(gaps, 1)));
}

struct Change {
  const char* name;
  std::optional<Churn::Fault> fault;  // absent: one joins
  Millis duration{0};
  bool comes_back = false;  // under a new token, and gets a share again
};
const std::array kChanges = {
    Change{"joins", std::nullopt},
    Change{"leaves", Churn::Fault::kLeaves},
    Change{"is killed", Churn::Fault::kIsKilled},
    Change{"loses its session", Churn::Fault::kLosesSession, 0ms, true},
    Change{"is stopped for 20 s", Churn::Fault::kIsStopped, 20s, true},
    Change{"is cut off for 20 s", Churn::Fault::kIsCutOff, 20s, true},
};

// Returns how many partitions move because of it, if none does without need: who comes back gets a share again.
int make(Churn& churn, const Change& change) {
  if (!change.fault) {
    churn.add(1);
    return kPartitions / churn.members();
  }
  churn.strike(*change.fault, change.duration);
  return churn.held_by_last_struck() * (change.comes_back ? 2 : 1);
}

}  // namespace

TEST_CASE("100 members, one change at a time: nothing moves without need" * doctest::skip(kTooSlow)) {
  Churn churn(1);
  churn.add(kMembers);
  REQUIRE(churn.settle(1min));
  std::printf("100 members, 256 partitions, one change at a time:\n");
  for (const Change& change : kChanges) {
    int needed = 0, moved = 0;
    std::vector<Millis> gaps, settling;
    for (int i = 0; i < 5; ++i) {
      churn.count_anew();
      const int expected = make(churn, change);
      churn.pass(change.duration + 2s);  // by then somebody has noticed
      const std::optional<Millis> settled = churn.settle(1min);
      REQUIRE(settled);
      churn.pass(10s);
      needed += expected;
      moved += churn.moves();
      CHECK(churn.moves() <= expected + 8);
      settling.push_back(*settled + 2s);
      gaps.insert(gaps.end(), churn.gaps().begin(), churn.gaps().end());
      if (churn.members() > kMembers) churn.strike(Churn::Fault::kLeaves);
      if (churn.members() < kMembers) churn.add(1);
      churn.pass(10s);
      REQUIRE(churn.settle(1min));
    }
    print_gaps(change.name, gaps);
    std::printf("  %-22s %5d moved, %d expected; shares fair again after at most %.1f s\n", "", moved, needed,
                seconds(quantile(settling, 1)));
    CHECK(quantile(gaps, 1) <= 15s);
  }
  for (const std::string& broken : churn.broken()) FAIL_CHECK(broken);
}

TEST_CASE("100 members come and go for ten minutes: nobody records for another, and all becomes fair again" *
          doctest::skip(kTooSlow)) {
  int needed = 0, moved = 0, changes = 0;
  std::vector<Millis> gaps;
  for (const std::uint64_t seed : {1, 2, 3}) {
    CAPTURE(seed);
    Churn churn(seed);
    churn.add(kMembers);
    REQUIRE(churn.settle(1min));
    churn.count_anew();
    for (Millis time{0}; time < 200s;) {
      Change change =
          kChanges[static_cast<std::size_t>(churn.random_millis(Millis(kChanges.size())).count())];
      if (churn.members() < kMembers) change = kChanges.front();
      if (change.duration > 0ms) change.duration = churn.random_millis(20s);
      needed += make(churn, change);
      ++changes;
      const Millis wait = churn.random_millis(2s);
      churn.pass(wait);
      time += wait + Churn::kStep;
    }
    churn.pass(30s);
    CHECK(churn.settle(1min));
    moved += churn.moves();
    gaps.insert(gaps.end(), churn.gaps().begin(), churn.gaps().end());
    for (const std::string& broken : churn.broken()) FAIL_CHECK(broken);
  }
  std::printf("100 members, 256 partitions, %d changes in ten minutes:\n", changes);
  print_gaps("in all", gaps);
  std::printf("  %-22s %5d moved, %d expected\n", "", moved, needed);
  CHECK(moved <= needed + needed / 10);
}
