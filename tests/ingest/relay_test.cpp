// The relay: which rows become events, in which order, and what becomes of the others.
#include "ingest/relay.h"

#include <random>
#include <set>

#include "relay_rig.h"

using namespace outboxd;
using namespace outboxd::test;

TEST_CASE_FIXTURE(RelayRig, "rows become events in the order of their numbers, and are deleted") {
  for (const char* payload : {"1", "2", "3"}) outbox.insert(payload);
  settle();
  CHECK(payloads() == Payloads{"1", "2", "3"});
  CHECK(outbox.rows.empty());
  CHECK(relay->status().state == SourceState::kWaiting);
  CHECK(relay->status().relayed == 3);
  CHECK(rig.reader().source_place("shop") == SourcePlace{.database = "a1", .relayed = 3, .cleared = 3});
}

TEST_CASE_FIXTURE(RelayRig, "what was relayed and not yet deleted when the daemon ended is only deleted") {
  outbox.insert("1");
  while (payloads().empty()) round();
  REQUIRE(payloads() == Payloads{"1"});
  REQUIRE(outbox.rows.size() == 1);
  restart();
  outbox.insert("2");
  settle();
  CHECK(payloads() == Payloads{"1", "2"});
  CHECK(outbox.rows.empty());
}

TEST_CASE_FIXTURE(RelayRig,
                  "a row that can never become an event is marked and passed over, and can be retried") {
  outbox.insert("1");
  const auto bad = outbox.insert("no JSON");
  outbox.insert("3");
  settle();
  CHECK(payloads() == Payloads{"1", "3"});
  CHECK(outbox.numbers() == std::set<std::int64_t>{bad});
  CHECK(outbox.rows.at(bad).row.rejected->starts_with("payload: is no JSON"));
  CHECK(relay->status().counts.rejected == 1);

  outbox.rows.at(bad).row.payload = "2";
  outbox.rows.at(bad).rejected = false;
  settle();
  CHECK(payloads() == Payloads{"1", "3", "2"});
  CHECK(outbox.rows.empty());
}

TEST_CASE_FIXTURE(
    RelayRig,
    "a rejected row that is retried before those after it are deleted is not taken for one of them") {
  outbox.insert("1");
  const auto bad = outbox.insert("no JSON");
  outbox.insert("3");
  while (payloads().size() < 2) round();
  REQUIRE(outbox.rows.contains(3));
  restart();
  outbox.rows.at(bad).row.payload = "2";
  outbox.rows.at(bad).rejected = false;
  settle();
  CHECK(payloads() == Payloads{"1", "3", "2"});
}

TEST_CASE_FIXTURE(RelayRig, "a row that is too large to be read is rejected") {
  outbox.insert("1");
  outbox.rows.at(1).unreadable = "the row is too large";
  settle();
  CHECK(payloads().empty());
  CHECK(outbox.rows.at(1).row.rejected == "the row is too large");
}

TEST_CASE_FIXTURE(
    RelayRig, "a row that uses an idempotency key again: the same is a duplicate, another one is rejected") {
  for (const char* payload : {"1", "1", "2", "3"}) outbox.insert(payload);
  for (const int number : {1, 2, 3}) outbox.rows.at(number).row.idempotency_key = "k";
  settle();
  CHECK(payloads() == Payloads{"1", "3"});
  CHECK(outbox.numbers() == std::set<std::int64_t>{3});
  CHECK(outbox.rows.at(3).row.rejected->starts_with("idempotency_key: "));
}

TEST_CASE_FIXTURE(RelayRig, "while events are refused the rows wait, in order, and the state says why") {
  refusal = Problem{ProblemCode::kUnavailable, "the disk is short", {}};
  outbox.insert("1");
  settle();
  CHECK(outbox.rows.size() == 1);
  CHECK(relay->status().state == SourceState::kFailing);
  CHECK(relay->status().error.ends_with("the disk is short"));
  outbox.insert("2");
  refusal.reset();
  settle();
  CHECK(payloads() == Payloads{"1", "2"});
  CHECK(relay->status().state == SourceState::kWaiting);
}

TEST_CASE_FIXTURE(RelayRig, "a source that cannot be read is shown, and tried again less and less often") {
  outbox.insert("1");
  outbox.failure = "it is not there";
  CHECK(round() == Millis(1000));
  CHECK(round() == Millis(2000));
  for (int i = 0; i < 10; ++i) round();
  CHECK(round() == Millis(30'000));
  CHECK(relay->status().state == SourceState::kFailing);
  CHECK(relay->status().error == "it is not there");
  CHECK(relay->status().since == kNow);
  CHECK(relay->status().behind_since == kNow);
  outbox.failure.clear();
  settle();
  CHECK(payloads() == Payloads{"1"});
  CHECK(relay->status().state == SourceState::kWaiting);
  CHECK_FALSE(relay->status().behind_since);
}

TEST_CASE_FIXTURE(RelayRig,
                  "an application that holds its lock delays the relay, and after a while that shows") {
  outbox.insert("1");
  outbox.busy = true;
  CHECK(round() == Millis(20));
  CHECK(relay->status().state == SourceState::kWaiting);
  clock.advance(Millis(11'000));
  round();
  CHECK(relay->status().state == SourceState::kFailing);
  outbox.busy = false;
  settle();
  CHECK(payloads() == Payloads{"1"});
}

TEST_CASE_FIXTURE(RelayRig, "another file in the place of a source's is relayed from its beginning") {
  outbox.insert("1");
  outbox.insert("2");
  settle();
  outbox = {};
  outbox.database = "b2";
  outbox.insert("3");
  settle();
  CHECK(payloads() == Payloads{"1", "2", "3"});
  CHECK(rig.reader().source_place("shop").database == "b2");
  CHECK(outbox.rows.empty());
}

TEST_CASE_FIXTURE(RelayRig,
                  "an older copy of the file is relayed as new, even rows whose numbers were used since") {
  for (const char* payload : {"1", "2", "3"}) outbox.insert(payload);
  while (payloads().size() < 3) round();
  REQUIRE(outbox.rows.size() == 3);  // relayed, and not yet deleted
  outbox.rows.clear();
  outbox.last = 1;
  outbox.insert("4");  // as number 2
  restart();
  settle();
  CHECK(payloads() == Payloads{"1", "2", "3", "4"});
  CHECK(outbox.rows.empty());
}

TEST_CASE_FIXTURE(RelayRig, "a row that was deleted and is there again is new") {
  for (const char* payload : {"1", "2", "3"}) outbox.insert(payload);
  const FakeOutbox before = outbox;
  settle();
  outbox.rows = {*before.rows.find(2)};
  settle();
  CHECK(payloads() == Payloads{"1", "2", "3", "2"});
  outbox.insert("4");
  settle();
  CHECK(payloads() == Payloads{"1", "2", "3", "2", "4"});
  CHECK(outbox.rows.empty());
}

TEST_CASE_FIXTURE(
    RelayRig,
    "a number that outbox does not give is refused, because nothing could tell that it was relayed") {
  outbox.insert("1");
  FakeOutbox::Row odd = outbox.rows.at(1);
  odd.row.row = -5;
  outbox.rows[-5] = odd;
  settle();
  CHECK(payloads() == Payloads{"1"});
  CHECK(outbox.rows.at(-5).row.rejected->starts_with("seq: "));
}

TEST_CASE("killed at any point, each row is one event, in the order of the numbers") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    RelayRig rig;
    std::mt19937 random(seed);
    const auto chance = [&](int in) { return random() % static_cast<unsigned>(in) == 0; };
    bool kills = true;
    const auto maybe_killed = [&] {
      if (kills && chance(12)) throw Killed{};
    };
    rig.outbox.at_each_call = maybe_killed;
    rig.around_commit = maybe_killed;
    Payloads good;
    std::vector<std::int64_t> retried;
    const auto go_on = [&](int rounds) {
      for (int i = 0; i < rounds; ++i) {
        try {
          rig.round();
        } catch (const Killed&) {
          rig.rig.run();  // what was submitted may be committed all the same
          rig.restart();
        }
      }
    };
    for (int i = 1; i <= 60; ++i) {
      const bool is_good = !chance(5);
      rig.outbox.insert(is_good ? std::to_string(i) : "no JSON");
      if (is_good) good.push_back(std::to_string(i));
      if (chance(3)) go_on(static_cast<int>(random() % 4));
      // Somebody mends a rejected row and retries it.
      for (auto& [number, row] : rig.outbox.rows) {
        if (!row.rejected || !chance(6)) continue;
        row.row.payload = std::to_string(number);
        row.rejected = false;
        retried.push_back(number);
      }
    }
    kills = false;
    go_on(200);
    Payloads all = rig.payloads(), in_order;
    const std::set<std::int64_t> mended(retried.begin(), retried.end());
    for (const auto& payload : all) {
      if (!mended.contains(std::stoll(payload))) in_order.push_back(payload);
    }
    CHECK(in_order == good);
    CHECK(all.size() == good.size() + retried.size());
    CHECK(std::set(all.begin(), all.end()).size() == all.size());
    for (const auto& [number, row] : rig.outbox.rows) CHECK(row.rejected);
  }
}
