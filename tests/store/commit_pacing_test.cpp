#include "store/commit_pacing.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

using namespace outboxd;
using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

using Duration = CommitPacing::Duration;

constexpr Duration kCommit = microseconds(300);
constexpr Duration kDelay = milliseconds(1);

// A writer that asks the pacing, and the events of producers: as planned, or each after the answer to the last.
struct Simulated {
  CommitPacing pacing;
  Duration commit = kCommit;
  MonotonicTime now{milliseconds(1)};
  std::vector<MonotonicTime> arrivals;  // to come, latest first
  std::deque<MonotonicTime> waiting;
  std::function<void(MonotonicTime answered)> on_answer = [](MonotonicTime) {};
  std::vector<Duration> delayed = {};  // of each commit: how long it was put off while the writer was free
  std::vector<std::size_t> sizes = {};

  explicit Simulated(Duration longest_delay) : pacing(longest_delay) {}

  void come(MonotonicTime at) {
    arrivals.insert(std::ranges::upper_bound(arrivals, at, std::greater<>()), at);
  }
  void admit(MonotonicTime until) {
    while (!arrivals.empty() && arrivals.back() <= until) {
      pacing.submitted(arrivals.back());
      waiting.push_back(arrivals.back());
      arrivals.pop_back();
    }
  }
  // Until nobody comes any more, or so many commits were made.
  void run(std::size_t commits) {
    const std::size_t last = sizes.size() + commits;
    while (sizes.size() < last && (!waiting.empty() || !arrivals.empty())) {
      if (waiting.empty()) now = std::max(now, arrivals.back());
      admit(now);
      const MonotonicTime free = now;
      while (true) {
        const auto at = pacing.commit_at(waiting.front(), waiting.size());
        if (at <= now) break;
        now = arrivals.empty() ? at : std::min(at, std::max(now, arrivals.back()));
        admit(now);
      }
      delayed.push_back(now - free);
      sizes.push_back(waiting.size());
      now += commit;
      admit(now);
      pacing.answered(sizes.back(), now);
      waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(sizes.back()));
      for (std::size_t i = 0; i < sizes.back(); ++i) on_answer(now);
    }
  }
  // So many producers who each send the next event `pause` after the answer to the last.
  void closed_loop(std::size_t producers, Duration pause) {
    on_answer = [this, pause](MonotonicTime answered) { come(answered + pause); };
    for (std::size_t i = 0; i < producers; ++i) come(now + pause);
  }
  void open_loop(double per_second, std::size_t events, std::uint64_t seed = 1) {
    std::mt19937_64 random(seed);
    std::exponential_distribution<double> gap(per_second);
    MonotonicTime at = now;
    std::vector<MonotonicTime> more;
    more.reserve(events);
    for (std::size_t i = 0; i < events; ++i) {
      at += std::chrono::duration_cast<Duration>(std::chrono::duration<double>(gap(random)));
      more.push_back(at);
    }
    for (auto one = more.rbegin(); one != more.rend(); ++one) arrivals.push_back(*one);
  }
  Duration longest_delay() const {
    return delayed.empty() ? Duration(0) : *std::ranges::max_element(delayed);
  }
  double events() const {
    return static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}));
  }
  double events_a_commit() const { return events() / static_cast<double>(sizes.size()); }
  double events_a_second() const {
    return events() / std::chrono::duration<double>(now.time_since_epoch()).count();
  }
};

}  // namespace

TEST_CASE("the first command, and one after a pause, is committed at once") {
  Simulated simulated(kDelay);
  simulated.come(simulated.now);
  simulated.run(1);
  simulated.open_loop(5000, 500);
  simulated.run(1000);
  CHECK(simulated.longest_delay() > Duration(0));
  simulated.delayed.clear();
  simulated.come(simulated.now + milliseconds(150));
  simulated.run(1);
  CHECK(simulated.longest_delay() == Duration(0));
}

TEST_CASE("a producer alone never waits for company, however soon it sends the next event") {
  for (const Duration pause : {microseconds(0), microseconds(10), microseconds(1000)}) {
    Simulated simulated(kDelay);
    simulated.closed_loop(1, pause);
    simulated.run(2000);
    CHECK(simulated.longest_delay() == Duration(0));
  }
}

TEST_CASE("events that come too seldom to meet do not wait") {
  Simulated simulated(kDelay);
  simulated.open_loop(200, 5000);
  simulated.run(5000);
  CHECK(simulated.events_a_commit() < 1.2);
  const auto put_off = std::ranges::count_if(simulated.delayed, [](Duration d) { return d > Duration(0); });
  CHECK(put_off < 100);  // of 5,000: some meet by chance
}

TEST_CASE("at 5,000 events a second they share commits; no one of them waits longer than the bound") {
  Simulated paced(kDelay), unpaced(Duration(0));
  for (Simulated* simulated : {&paced, &unpaced}) {
    simulated->open_loop(5000, 20'000);
    simulated->run(20'000);
  }
  CHECK(unpaced.longest_delay() == Duration(0));
  CHECK(paced.longest_delay() <= kDelay);
  CHECK(paced.events_a_commit() > 2 * unpaced.events_a_commit());
}

TEST_CASE("whoever comes and however long a commit takes, a delay is bounded, and 0 is none") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    const Duration bound = microseconds(random() % 3000);
    Simulated simulated(bound);
    simulated.commit = microseconds(20 + random() % 2000);
    if (random() % 2 == 0) {
      simulated.open_loop(static_cast<double>(100 + random() % 20'000), 500, random());
    } else {
      simulated.closed_loop(1 + random() % 100, microseconds(random() % 1000));
    }
    simulated.run(300);
    CHECK(simulated.longest_delay() <= bound);
  }
}

TEST_CASE("as many as share a commit well do not wait for more") {
  Simulated simulated(kDelay);
  simulated.commit = milliseconds(3);  // meanwhile more of them come than are enough
  simulated.open_loop(8000, 2000);
  simulated.run(50);
  const MonotonicTime since = simulated.now;
  CHECK(simulated.pacing.commit_at(since, CommitPacing::kEnough - 1) == since + kDelay);
  CHECK(simulated.pacing.commit_at(since, CommitPacing::kEnough) <= since);
}

// They come only because they are answered: once all of them wait, nobody else comes.
TEST_CASE("producers who wait for answers are not kept waiting for others who do not exist") {
  for (const std::size_t producers : {2u, 3u, 4u, 8u, 12u}) {
    for (const Duration pause : {microseconds(10), microseconds(500)}) {
      CAPTURE(producers);
      Simulated paced(kDelay), unpaced(Duration(0));
      for (Simulated* simulated : {&paced, &unpaced}) {
        simulated->closed_loop(producers, pause);
        simulated->run(2000);
      }
      CHECK(paced.events_a_commit() >= unpaced.events_a_commit());
      CHECK(paced.events_a_second() > 0.9 * unpaced.events_a_second());
    }
  }
}
