// Decides how long the writer waits for company: a commit costs the same for one command as for ten, so commands of
// producers wait a little when others are likely to come meanwhile. The idea is PostgreSQL's commit_delay and
// commit_siblings; here the number of siblings is learned.
//
// Likely means: while one of them waited for its answer, others came, often enough that kCompany of them are expected
// within the longest delay. So a producer that sends each event after the answer to the last never waits, however fast
// it is. Nor does anybody wait once as many are there as lately waited at a time: whoever is missing then would have to
// be answered first.
//
// Pure: it is told times and what happened. Guarded by the lock of its user.
#pragma once

#include <chrono>
#include <cstddef>

#include "common/time.h"

namespace outboxd {

class CommitPacing {
 public:
  using Duration = MonotonicTime::duration;

  // With "auto"; measured: longer delays save little more CPU at 5,000 events/s, and are felt in each answer.
  static constexpr Duration kAutoDelay = std::chrono::milliseconds(1);
  // Company worth waiting for; less does not pay for what each of them waits.
  static constexpr std::size_t kCompany = 3;
  // So many share a commit well enough: they go at once.
  static constexpr std::size_t kEnough = 16;

  // `longest_delay`: no command waits longer for company; zero: none waits at all.
  explicit CommitPacing(Duration longest_delay) : longest_delay_(longest_delay) {}

  // One more command waits.
  void submitted(MonotonicTime at);
  // So many of them have been answered.
  void answered(std::size_t count, MonotonicTime at);

  // When to commit `count` of them, the oldest of which was submitted at `oldest`. In the past: at once.
  MonotonicTime commit_at(MonotonicTime oldest, std::size_t count) const {
    return count < enough() && delays() ? oldest + longest_delay_ : oldest;
  }
  // Whether company is likely now.
  bool delays() const;
  Duration longest_delay() const { return longest_delay_; }

 private:
  std::size_t enough() const;

  const Duration longest_delay_;
  std::size_t waiting_ = 0;     // submitted, not answered
  std::size_t joined_ = 0;      // of those since the last commit, when somebody waited already
  MonotonicTime seen_until_{};  // the last commit, or since when somebody has waited
  // Of the last commits, the older ones counting less: the time in which somebody waited, how many joined, and how many
  // waited at a time.
  double busy_seconds_ = 0, companions_ = 0, peak_ = 0;
};

}  // namespace outboxd
