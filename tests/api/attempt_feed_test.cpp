#include "api/attempt_feed.h"

#include <doctest/doctest.h>

#include <thread>

#include "support/outcomes.h"

using namespace outboxd;
using namespace outboxd::api;
using namespace outboxd::test;

namespace {

const EndpointId kShop = EndpointId::parse("ep_019ab0f40c2b7a3c8d4e5f60718293a5").value();
const EndpointId kOther = EndpointId::parse("ep_019ab0f40c2b7a3c8d4e5f60718293a6").value();

OutcomeRecorded outcome(int number, Outcome outcome = Outcome::kSuccess, const EndpointId& endpoint = kShop) {
  Attempt attempt;
  attempt.number = number;
  attempt.outcome = outcome;
  attempt.response_body = "kept on disk";
  attempt.response_headers = {{"x", "y"}};
  return outcome_recorded(endpoint, std::move(attempt));
}

std::vector<int> numbers(const AttemptFeed::Page& page) {
  std::vector<int> all;
  for (const auto& recorded : page.rows) all.push_back(recorded->attempt.number);
  return all;
}

}  // namespace

TEST_CASE("who follows the feed sees each attempt once, in order") {
  AttemptFeed feed;
  for (int i = 1; i <= 5; ++i) feed.hear(outcome(i));
  const auto first = feed.after(0, {}, 3);
  CHECK(numbers(first) == std::vector{1, 2, 3});
  const auto second = feed.after(first.last, {}, 3);
  CHECK(numbers(second) == std::vector{4, 5});
  CHECK(second.dropped == 0);
  const auto nothing = feed.after(second.last, {}, 3);
  CHECK(nothing.rows.empty());
  CHECK(nothing.last == second.last);
  feed.hear(outcome(6));
  CHECK(numbers(feed.after(nothing.last, {}, 3)) == std::vector{6});
}

TEST_CASE("the latest attempts come first to a newcomer, who then goes on from there") {
  AttemptFeed feed;
  CHECK(feed.latest({}, 2).rows.empty());
  for (int i = 1; i <= 5; ++i) feed.hear(outcome(i, i == 2 ? Outcome::kTimeout : Outcome::kSuccess));
  CHECK(numbers(feed.latest({}, 2)) == std::vector{4, 5});
  const auto failed = feed.latest({.endpoint = {}, .failed = true}, 2);
  CHECK(numbers(failed) == std::vector{2});
  CHECK(feed.after(failed.last, {}, 10).rows.empty());
}

TEST_CASE("a reader that comes too late is told how many it missed, and the memory is bounded") {
  AttemptFeed feed(3);
  for (int i = 1; i <= 10; ++i) feed.hear(outcome(i));
  const auto late = feed.after(2, {}, 10);
  CHECK(late.dropped == 5);
  CHECK(numbers(late) == std::vector{8, 9, 10});
  CHECK(feed.after(late.last, {}, 10).dropped == 0);
  CHECK(feed.after(7, {}, 10).dropped == 0);
  CHECK(feed.after(99, {}, 10).last == 10);  // a number that was not given yet
}

TEST_CASE("filters leave out others and lose no place") {
  AttemptFeed feed;
  feed.hear(outcome(1));
  feed.hear(outcome(2, Outcome::kHttp5xx));
  feed.hear(outcome(3, Outcome::kTimeout, kOther));
  CHECK(numbers(feed.after(0, {.endpoint = kShop, .failed = false}, 10)) == std::vector{1, 2});
  CHECK(numbers(feed.after(0, {.endpoint = {}, .failed = true}, 10)) == std::vector{2, 3});
  const auto none = feed.after(0, {.endpoint = kOther, .failed = true}, 1);
  CHECK(numbers(none) == std::vector{3});
  CHECK(none.last == 3);
}

TEST_CASE("one read looks at a bounded number, and the next one goes on behind them") {
  AttemptFeed feed;
  for (std::size_t i = 0; i < AttemptFeed::kMaxExamined; ++i) feed.hear(outcome(1));
  feed.hear(outcome(2, Outcome::kTimeout));
  const AttemptFeed::Filter failed{.endpoint = {}, .failed = true};
  const auto first = feed.after(0, failed, 10);
  CHECK(first.rows.empty());
  CHECK(first.last == AttemptFeed::kMaxExamined);
  CHECK(numbers(feed.after(first.last, failed, 10)) == std::vector{2});
}

TEST_CASE("what came back is not held in memory") {
  AttemptFeed feed;
  feed.hear(outcome(1));
  const auto page = feed.latest({}, 1);
  CHECK(page.rows[0]->attempt.response_body.empty());
  CHECK(page.rows[0]->attempt.response_headers.empty());
}

TEST_CASE("nothing is missed or seen twice while attempts come in") {
  constexpr int kAttempts = 20'000;
  AttemptFeed feed(kAttempts);
  std::thread writer([&feed] {
    for (int i = 1; i <= kAttempts; ++i) feed.hear(outcome(i));
  });
  std::uint64_t from = 0;
  int expected = 1, wrong = 0;
  while (expected <= kAttempts) {
    const auto page = feed.after(from, {}, 250);
    for (const int number : numbers(page)) wrong += number != expected++;
    from = page.last;
  }
  writer.join();
  CHECK(wrong == 0);
}

TEST_CASE("of an outcome without an attempt, and of another daemon's, nothing is kept") {
  AttemptFeed feed;
  OutcomeRecorded expired = outcome(1);
  expired.attempt = nullptr;
  feed.hear(expired);
  OutcomeRecorded hint = outcome(1);
  hint.subject = nullptr;
  feed.hear(hint);
  CHECK(feed.latest({}, 10).rows.empty());
}

TEST_CASE("who follows for long has one of a few places, and gives it back") {
  AttemptFeed feed;
  std::vector<std::unique_ptr<AttemptFeed::Follower>> followers;
  followers.reserve(AttemptFeed::kMaxFollowers);
  for (int i = 0; i < AttemptFeed::kMaxFollowers; ++i) followers.push_back(feed.follow({}, 0));
  CHECK(followers.back());
  CHECK_FALSE(feed.follow({}, 0));
  followers.pop_back();
  CHECK(feed.follow({}, 0));
}

TEST_CASE("a follower goes on behind what it has seen, and is told what was dropped for it") {
  AttemptFeed feed(3);
  for (int i = 1; i <= 2; ++i) feed.hear(outcome(i));
  const auto follower = feed.follow({}, 1);
  CHECK(numbers(follower->next(10)) == std::vector{2});
  CHECK(follower->next(10).rows.empty());
  for (int i = 3; i <= 9; ++i) feed.hear(outcome(i));
  const auto late = follower->next(2);
  CHECK(late.dropped == 4);
  CHECK(numbers(late) == std::vector{7, 8});
  CHECK(late.rows[0]->position == 7);
  CHECK(numbers(follower->next(2)) == std::vector{9});
  CHECK(follower->position() == 9);
}

TEST_CASE("a follower of few looks past the attempts of others at once, and says so when some were dropped") {
  AttemptFeed feed;
  const auto follower = feed.follow({.endpoint = {}, .failed = true}, 0);
  for (std::size_t i = 0; i < 2 * AttemptFeed::kMaxExamined; ++i) feed.hear(outcome(1));
  feed.hear(outcome(2, Outcome::kTimeout));
  CHECK(numbers(follower->next(10)) == std::vector{2});
  for (std::size_t i = 0; i < AttemptFeed::kDefaultKept; ++i) feed.hear(outcome(1));
  feed.hear(outcome(3, Outcome::kTimeout));
  const auto page = follower->next(10);
  CHECK(page.dropped == 1);
  CHECK((numbers(page) == std::vector{3} || numbers(follower->next(10)) == std::vector{3}));
}

TEST_CASE("attempts are told apart by tenant and by type, and a pattern is a type too") {
  AttemptFeed feed;
  feed.hear(outcome(1));  // of tenant "", order.paid
  CHECK(numbers(feed.after(0, {.endpoint = {}, .tenant = ""}, 10)) == std::vector{1});
  CHECK(numbers(feed.after(0, {.endpoint = {}, .tenant = "acme"}, 10)).empty());
  CHECK(numbers(feed.after(0, {.endpoint = {}, .type = "order.paid"}, 10)) == std::vector{1});
  CHECK(numbers(feed.after(0, {.endpoint = {}, .type = "order.*"}, 10)) == std::vector{1});
  CHECK(numbers(feed.after(0, {.endpoint = {}, .type = "order"}, 10)).empty());
}
