#include "store/postgresql/standing.h"

#include <doctest/doctest.h>

using namespace outboxd;
using namespace outboxd::postgresql;
using namespace std::chrono_literals;

namespace {

PartitionSet partitions(std::initializer_list<std::size_t> numbers) {
  PartitionSet set;
  for (const std::size_t number : numbers) set.set(number);
  return set;
}

struct Bench {
  BootTime time = 1h;
  Standing standing{[this] { return time; }};

  Bench() { standing.join("first", 3, time); }

  Facts facts() { return standing.wait(Millis(0)); }
  PartitionSet told_lost(bool abort) {
    PartitionSet lost;
    for (const Fact& fact : facts()) {
      const auto& one = std::get<PartitionsLost>(fact);
      CHECK(one.abort == abort);
      lost |= one.partitions;
    }
    return lost;
  }
  PartitionSet told_owned() {
    PartitionSet owned;
    for (const Fact& fact : facts()) owned |= std::get<PartitionsOwned>(fact).partitions;
    return owned;
  }
  void hold(const PartitionSet& set) {
    standing.hold(set, 0ms);
    facts();
  }
  bool is_recording(const std::string& token, const PartitionSet& set) {
    const Standing::Now now = standing.now();
    return now.token == token && now.records == set;
  }
};

}  // namespace

TEST_CASE("who has not joined owns nothing and sends nothing") {
  Standing standing([] { return BootTime(1h); });
  CHECK_FALSE(standing.may_send());
  CHECK(standing.now().token.empty());
  CHECK(standing.now().records.none());
  CHECK(standing.is_clear());
  CHECK(standing.wait(0ms).empty());
}

TEST_CASE_FIXTURE(Bench, "what is held is owned, sent for and recorded for") {
  CHECK(standing.may_send());
  standing.hold(partitions({1, 2}), 0ms);
  const Facts told = facts();
  REQUIRE(told.size() == 1);
  CHECK(std::get<PartitionsOwned>(told[0]).partitions == partitions({1, 2}));
  CHECK(std::get<PartitionsOwned>(told[0]).ordered_after == 0ms);
  CHECK(standing.owned() == partitions({1, 2}));
  CHECK(standing.told() == partitions({1, 2}));
  standing.hold(partitions({3}), 0ms);
  CHECK(standing.owned().count() == 3);
  CHECK(standing.told().count() == 2);
  facts();
  CHECK(standing.told().count() == 3);
  standing.give_up(partitions({3}), false);
  CHECK(standing.told().count() == 3);
  facts();
  standing.release(partitions({3}));
  CHECK(standing.told().count() == 2);
  CHECK(is_recording("first", partitions({1, 2})));
  CHECK(standing.now().slot == 3);
}

TEST_CASE_FIXTURE(Bench, "sending ends so long after the begin of the last transaction that was committed") {
  hold(partitions({1}));
  time += 1s;
  const BootTime begun = time;
  time += 2s;
  standing.prove("first", begun);
  time = begun + kTrust - 1ns;
  CHECK(standing.may_send());
  CHECK(facts().empty());
  time = begun + kTrust;
  CHECK_FALSE(standing.may_send());
  CHECK(told_lost(true) == partitions({1}));
  CHECK(facts().empty());  // once
  CHECK(is_recording("first", partitions({1})));
}

TEST_CASE_FIXTURE(Bench, "a proof that begun before the last one, or with another token, proves nothing") {
  hold(partitions({1}));
  const BootTime before = time;
  time += 1s;
  standing.prove("first", time);
  standing.prove("first", before);
  standing.prove("second", time + 1s);
  time += kTrust - 1ms;
  CHECK(standing.may_send());
  time += 1ms;
  CHECK_FALSE(standing.may_send());
}

TEST_CASE_FIXTURE(Bench,
                  "after a doubt partitions are owned again when they were let go of and it is proven") {
  hold(partitions({1, 2}));
  time += kTrust;
  CHECK(told_lost(true) == partitions({1, 2}));
  standing.release(partitions({1}));
  CHECK(facts().empty());  // not proven
  standing.prove("first", time);
  CHECK(standing.may_send());
  CHECK(told_owned() == partitions({1}));
  standing.release(partitions({2}));
  CHECK(told_owned() == partitions({2}));
}

TEST_CASE_FIXTURE(Bench, "what is given up is recorded for until it is let go of, and then given back") {
  hold(partitions({1, 2}));
  standing.give_up(partitions({2}), false);
  CHECK(told_lost(false) == partitions({2}));
  CHECK(standing.owned() == partitions({1}));
  CHECK(is_recording("first", partitions({1, 2})));
  CHECK(standing.given_up().none());
  standing.release(partitions({2}));
  CHECK(facts().empty());
  CHECK(standing.given_up() == partitions({2}));
  CHECK(is_recording("first", partitions({1})));
  standing.no_longer_hold(partitions({2}));
  CHECK(standing.held() == partitions({1}));
  CHECK(standing.given_up().none());
}

TEST_CASE_FIXTURE(Bench, "who does not let go of what is given up is told to abort it") {
  hold(partitions({1}));
  standing.give_up(partitions({1}), false);
  CHECK(told_lost(false) == partitions({1}));
  standing.give_up(partitions({1}), true);
  CHECK(told_lost(true) == partitions({1}));
  standing.give_up(partitions({1}), true);
  CHECK(facts().empty());
}

TEST_CASE_FIXTURE(Bench,
                  "without a session nothing new is sent, and what is under way may end within the window") {
  hold(partitions({1}));
  standing.lose_session("the connection is lost");
  CHECK(standing.why_out() == "the connection is lost");
  CHECK_FALSE(standing.may_send());
  CHECK(told_lost(false) == partitions({1}));
  CHECK(is_recording("first", partitions({1})));
  CHECK_FALSE(standing.is_clear());
  time += kTrust - 1ms;
  CHECK(facts().empty());
  standing.prove("first", time);  // the writer has still been able to record
  CHECK_FALSE(standing.may_send());
  time += kTrust - 1ms;
  CHECK(facts().empty());
  time += 1ms;
  CHECK(told_lost(true) == partitions({1}));
  standing.release(partitions({1}));
  CHECK(standing.is_clear());
}

TEST_CASE_FIXTURE(Bench, "who is fenced drops everything at once, and nothing proves the contrary") {
  hold(partitions({1, 2}));
  standing.give_up(partitions({2}), false);
  facts();
  standing.found_fenced("zeroth");
  CHECK(standing.may_send());
  standing.found_fenced("first");
  CHECK(standing.was_fenced());
  CHECK_FALSE(standing.may_send());
  CHECK(told_lost(true) == partitions({1, 2}));
  standing.prove("first", time + 1s);
  CHECK_FALSE(standing.may_send());
  standing.lose_session("the connection is lost");
  standing.release(partitions({1, 2}));
  CHECK(facts().empty());
  standing.join("second", 4, time);
  CHECK(standing.why_out().empty());
  CHECK(standing.may_send());
  CHECK_FALSE(standing.was_fenced());
  CHECK(is_recording("second", {}));
}

TEST_CASE_FIXTURE(Bench, "order waits out the window of a lost owner, also through a doubt of our own") {
  standing.hold(partitions({1}), 0ms);
  standing.hold(partitions({2}), kTrust);
  Facts told = facts();
  REQUIRE(told.size() == 2);
  CHECK(std::get<PartitionsOwned>(told[1]).ordered_after == kTrust);
  time += kTrust;
  standing.hold(partitions({3}), kTrust);
  CHECK(told_lost(true) == partitions({1, 2}));  // 3 is not announced in doubt
  time += 1s;
  standing.prove("first", time);
  told = facts();
  REQUIRE(told.size() == 1);
  CHECK(std::get<PartitionsOwned>(told[0]).partitions == partitions({3}));
  CHECK(std::get<PartitionsOwned>(told[0]).ordered_after == kTrust - 1s);
}

TEST_CASE("a wait ends with what somebody tells, with an interrupt, and in time for the end of trust") {
  Standing standing;
  CHECK(standing.wait(1ms).empty());
  standing.interrupt();
  CHECK(standing.wait(1h).empty());
  standing.tell({OutboxRowsWait{}});
  CHECK(standing.wait(1h).size() == 1);
  standing.join("first", 0, boot_now() - kTrust + 50ms);
  standing.hold(PartitionSet().set(1), 0ms);
  CHECK(standing.wait(1h).size() == 1);
  const Facts told = standing.wait(1h);
  REQUIRE(told.size() == 1);
  CHECK(std::get<PartitionsLost>(told[0]).abort);
}
