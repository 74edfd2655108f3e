#include "store/postgresql/due_marks.h"

#include <doctest/doctest.h>

using namespace outboxd;
using namespace outboxd::postgresql;

namespace {

constexpr EndpointSeq kEndpoint = 7;
constexpr Time kNow{Millis(1'767'225'600'000)};
constexpr Millis kStart{1000};

struct Marks : DueMarks {
  // A fetch that saw this of priority 5. Answers from where it read.
  std::optional<Time> fetch(std::optional<Time> earliest, Time now = kNow, Millis mono = kStart) {
    const Look look = begin(kEndpoint, mono);
    Times seen;
    seen[5] = earliest;
    CHECK(saw(kEndpoint, look, seen, now, mono));
    return look.from[5];
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

TEST_CASE_FIXTURE(Marks, "a mark stays behind now by the longest transaction of a producer") {
  fetch(kNow);
  CHECK(fetch(std::nullopt) == kNow - kLag);
  CHECK(fetch(std::nullopt, kNow + Millis(1)) == kNow - kLag);
  CHECK(fetch(std::nullopt) == kNow + Millis(1) - kLag);
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
  CHECK(saw(kEndpoint, look, {}, kNow, kStart));
  CHECK(fetch(promoted) == promoted);
  const Look before = begin(kEndpoint, kStart);
  forget(kEndpoint);
  begin(kEndpoint, kStart);
  CHECK(saw(kEndpoint, before, {}, kNow, kStart));
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
  CHECK_FALSE(saw(kEndpoint, look, {}, kNow - std::chrono::hours(1), kStart));
  CHECK_FALSE(fetch(std::nullopt, kNow - std::chrono::hours(1)));
}
