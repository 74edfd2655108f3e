#include "store/postgresql/due_marks.h"

#include <doctest/doctest.h>

using namespace outboxd;
using namespace outboxd::postgresql;

namespace {

constexpr EndpointSeq kEndpoint = 7;
constexpr Time kNow{Millis(1'767'225'600'000)};
constexpr Millis kStart{1000};

// A snapshot at `now`, when the transactions from `oldest` on had not ended and the next one got the number `next`.
DueMarks::Snapshot snapshot(Time now, std::int64_t oldest, std::int64_t next) {
  return {.at = now, .oldest = oldest, .next = next};
}

struct Marks : DueMarks {
  // A fetch that saw this of priority 5. Answers from where it read.
  std::optional<Time> fetch(std::optional<Time> earliest, const Snapshot& snapshot, Millis mono = kStart) {
    const Look look = begin(kEndpoint, mono);
    Times seen;
    seen[5] = earliest;
    CHECK(saw(kEndpoint, look, seen, snapshot, mono));
    return look.from[5];
  }
  // From where the next fetch reads after one with this snapshot that saw nothing.
  std::optional<Time> mark_after(const Snapshot& snapshot) {
    fetch(std::nullopt, snapshot);
    return begin(kEndpoint, kStart).from[5];
  }
  // With a transaction that stays open.
  std::optional<Time> fetch(std::optional<Time> earliest, Time now = kNow, Millis mono = kStart) {
    return fetch(earliest, snapshot(now, 100, 200), mono);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Marks, "the first fetch reads from the beginning, the next one from what it saw") {
  const Time oldest = kNow - std::chrono::hours(3);
  CHECK_FALSE(fetch(oldest));
  CHECK(fetch(oldest + Millis(5)) == oldest);
  CHECK(fetch(std::nullopt) == oldest + Millis(5));
  CHECK(begin(kEndpoint + 1, kStart).full);
}

TEST_CASE_FIXTURE(Marks, "a mark stays behind now by the longest transaction of a daemon") {
  fetch(kNow);
  CHECK(fetch(std::nullopt) == kNow - kLag);
  CHECK(fetch(std::nullopt, kNow + Millis(1)) == kNow - kLag);
  CHECK(fetch(std::nullopt) == kNow + Millis(1) - kLag);
}

TEST_CASE_FIXTURE(Marks, "when no transaction is open a mark is what the fetch saw, but for a moment") {
  CHECK(mark_after(snapshot(kNow, 200, 200)) == kNow - kMargin);
}

TEST_CASE_FIXTURE(Marks, "a mark stays behind the beginning of the oldest transaction that is open") {
  const Time later = kNow + std::chrono::seconds(5), last = later + std::chrono::seconds(5);
  mark_after(snapshot(kNow, 90, 100));
  mark_after(snapshot(later, 90, 150));
  CHECK(mark_after(snapshot(last, 99, 200)) == last - kLag);
  CHECK(mark_after(snapshot(last, 149, 200)) == kNow - kMargin);
  CHECK(mark_after(snapshot(last, 150, 200)) == later - kMargin);
  CHECK(mark_after(snapshot(last, 200, 200)) == last - kMargin);
}

TEST_CASE_FIXTURE(Marks, "a fetch that ends late is judged by what was open when it looked") {
  mark_after(snapshot(kNow, 100, 100));
  mark_after(snapshot(kNow + Millis(200), 150, 150));
  CHECK(mark_after(snapshot(kNow + Millis(100), 100, 120)) == kNow - kMargin);
}

TEST_CASE_FIXTURE(Marks, "what appears with an older time lowers the mark") {
  const Time promoted = kNow - std::chrono::hours(1);
  fetch(std::nullopt);
  lower(kEndpoint, promoted);
  CHECK(fetch(promoted) == promoted);
  lower(kEndpoint, kNow);  // and only lowers it
  CHECK(fetch(promoted) == promoted);
  forget(kEndpoint);
  CHECK_FALSE(fetch(std::nullopt));
}

TEST_CASE_FIXTURE(Marks, "a fetch that began before does not raise what was lowered since") {
  const Time promoted = kNow - std::chrono::hours(1);
  fetch(std::nullopt);
  const Look look = begin(kEndpoint, kStart);
  lower(kEndpoint, promoted);
  CHECK(saw(kEndpoint, look, {}, snapshot(kNow, 100, 200), kStart));
  CHECK(fetch(promoted) == promoted);
  const Look before = begin(kEndpoint, kStart);
  forget(kEndpoint);
  begin(kEndpoint, kStart);
  CHECK(saw(kEndpoint, before, {}, snapshot(kNow, 100, 200), kStart));
  CHECK_FALSE(fetch(promoted));
}

TEST_CASE_FIXTURE(Marks, "each endpoint is looked at from the beginning once a minute") {
  fetch(std::nullopt);
  CHECK(fetch(std::nullopt, kNow, kStart + kFullLook - Millis(1)));
  CHECK_FALSE(fetch(std::nullopt, kNow, kStart + kFullLook));
  CHECK(fetch(std::nullopt, kNow, kStart + kFullLook));
}

TEST_CASE_FIXTURE(Marks, "when the database's clock goes back every fetch begins anew") {
  fetch(std::nullopt);
  const Look look = begin(kEndpoint, kStart);
  CHECK_FALSE(saw(kEndpoint, look, {}, snapshot(kNow - std::chrono::hours(1), 100, 200), kStart));
  CHECK_FALSE(fetch(std::nullopt, kNow - std::chrono::hours(1)));
}
