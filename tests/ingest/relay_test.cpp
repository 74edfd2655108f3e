// The relay over a source that does as it is told, and the real ingest and store.
#include "ingest/relay.h"

#include <map>
#include <random>
#include <set>

#include "ingest_rig.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

struct Killed {};

// The outbox of an application, as it is on disk: it survives whoever reads it.
struct Outbox {
  struct Row {
    OutboxRow row;
    std::string unreadable = {};
    bool rejected = false;
  };
  std::string database = "a1";
  std::int64_t last = 0;
  std::map<std::int64_t, Row> rows;
  bool busy = false;
  std::string failure;
  std::function<void()> at_each_call = [] {};  // may throw Killed

  std::int64_t insert(const std::string& payload = "{}", const std::string& type = "order.paid") {
    OutboxRow row;
    row.row = ++last;
    row.type = type;
    row.payload = payload;
    rows[last] = {row};
    return last;
  }
  std::set<std::int64_t> numbers() const {
    std::set<std::int64_t> all;
    for (const auto& [number, row] : rows) all.insert(number);
    return all;
  }
};

class FakeSource final : public Source {
 public:
  explicit FakeSource(Outbox& outbox) : outbox_(outbox) {}

  SourceRows read(std::int64_t after, int limit, std::size_t) override {
    call();
    SourceRows found;
    found.database = outbox_.database;
    found.last = outbox_.last;
    for (auto it = outbox_.rows.upper_bound(after); it != outbox_.rows.end(); ++it) {
      const auto& [number, row] = *it;
      if (row.rejected && found.rows.empty()) found.after_rejected = true;
      if (row.rejected && !found.rows.empty()) break;
      if (row.rejected) continue;
      found.rows.push_back({row.row, row.unreadable});
      if (found.rows.size() == static_cast<std::size_t>(limit)) break;
    }
    return found;
  }
  void reject(const std::vector<SourceRejection>& rows, Time at) override {
    call();
    for (const auto& [number, reason] : rows) {
      outbox_.rows.at(number).rejected = true;
      outbox_.rows.at(number).row.rejected = reason;
      outbox_.rows.at(number).row.rejected_at = at;
    }
    call();
  }
  SourceCleared clear(std::int64_t after, std::int64_t up_to, int limit) override {
    call();
    SourceCleared cleared{.up_to = up_to};
    for (auto it = outbox_.rows.upper_bound(after); it != outbox_.rows.end() && it->first <= up_to;) {
      if (cleared.rows == limit) break;
      cleared.up_to = it->first;
      ++cleared.rows;
      it = outbox_.rows.erase(it);
    }
    if (cleared.rows < limit) cleared.up_to = up_to;
    call();
    return cleared;
  }
  SourceCounts counts(int) override {
    SourceCounts counts;
    for (const auto& [number, row] : outbox_.rows) ++(row.rejected ? counts.rejected : counts.waiting);
    return counts;
  }
  void check() override { call(); }
  void wait(Millis) override {}

 private:
  void call() {
    outbox_.at_each_call();
    if (outbox_.busy) throw SourceBusy("it is locked");
    if (!outbox_.failure.empty()) throw SourceFailure(outbox_.failure);
  }
  Outbox& outbox_;
};

struct Rig {
  IngestRig rig;
  ManualClock clock{kNow};
  Outbox outbox;
  std::optional<Problem> refusal;  // of every event
  std::function<void()> around_commit = [] {};
  std::optional<Relay> relay;

  Rig() { restart(); }
  void restart() {
    relay.reset();
    relay.emplace(Relay::Parts{
        .name = "shop",
        .url = "sqlite:///srv/shop.db",
        .open = [this](const std::atomic<bool>&) { return std::make_unique<FakeSource>(outbox); },
        .stored_place = [this] { return rig.reader().source_place("shop"); },
        .accept =
            [this](std::vector<EventDraft> drafts, std::shared_ptr<const SourceStep> step,
                   Ingest::Done done) {
              if (refusal) return done(tl::unexpected(*refusal));
              around_commit();
              rig.ingest().relay(std::move(drafts), std::move(step), std::move(done));
              rig.run();
              around_commit();
            },
        .limits = [] { return EventLimits{}; },
        .clock = clock,
        .metrics = rig.metrics});
  }
  Millis round() {
    const Millis pause = relay->round();
    clock.advance(std::max(pause, Millis(50)));
    return pause;
  }
  // Until everything is relayed and deleted.
  void settle() {
    for (int i = 0; i < 60; ++i) round();
  }
  // Payloads of all events, in the order of their acceptance.
  std::vector<std::string> payloads() {
    std::vector<std::string> all;
    std::string after;
    while (true) {
      const auto page = rig.reader().events({}, {250, after});
      REQUIRE(page);
      for (const EventRow& row : page->rows)
        all.push_back(rig.reader().event(row.event.id, true)->event.payload);
      if (!page->next) break;
      after = *page->next;
    }
    std::reverse(all.begin(), all.end());
    return all;
  }
};

using Payloads = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(Rig, "rows become events in the order of their numbers, and are deleted") {
  for (const char* payload : {"1", "2", "3"}) outbox.insert(payload);
  settle();
  CHECK(payloads() == Payloads{"1", "2", "3"});
  CHECK(outbox.rows.empty());
  CHECK(relay->status().state == SourceState::kWaiting);
  CHECK(relay->status().relayed == 3);
  CHECK(rig.reader().source_place("shop") == SourcePlace{.database = "a1", .relayed = 3, .cleared = 3});
}

TEST_CASE_FIXTURE(Rig, "what was relayed and not yet deleted when the daemon ended is only deleted") {
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

TEST_CASE_FIXTURE(Rig, "a row that can never become an event is marked and passed over, and can be retried") {
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
    Rig, "a rejected row that is retried before those after it are deleted is not taken for one of them") {
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

TEST_CASE_FIXTURE(Rig, "a row that is too large to be read is rejected") {
  outbox.insert("1");
  outbox.rows.at(1).unreadable = "the row is too large";
  settle();
  CHECK(payloads().empty());
  CHECK(outbox.rows.at(1).row.rejected == "the row is too large");
}

TEST_CASE_FIXTURE(
    Rig, "a row that uses an idempotency key again: the same is a duplicate, another one is rejected") {
  for (const char* payload : {"1", "1", "2", "3"}) outbox.insert(payload);
  for (const int number : {1, 2, 3}) outbox.rows.at(number).row.idempotency_key = "k";
  settle();
  CHECK(payloads() == Payloads{"1", "3"});
  CHECK(outbox.numbers() == std::set<std::int64_t>{3});
  CHECK(outbox.rows.at(3).row.rejected->starts_with("idempotency_key: "));
}

TEST_CASE_FIXTURE(Rig, "while events are refused the rows wait, in order, and the state says why") {
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

TEST_CASE_FIXTURE(Rig, "a source that cannot be read is shown, and tried again less and less often") {
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

TEST_CASE_FIXTURE(Rig, "an application that holds its lock delays the relay, and after a while that shows") {
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

TEST_CASE_FIXTURE(Rig, "another file in the place of a source's is relayed from its beginning") {
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

TEST_CASE_FIXTURE(Rig,
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

TEST_CASE_FIXTURE(Rig, "a row that was deleted and is there again is new") {
  for (const char* payload : {"1", "2", "3"}) outbox.insert(payload);
  const Outbox before = outbox;
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
    Rig, "a number that outbox does not give is refused, because nothing could tell that it was relayed") {
  outbox.insert("1");
  Outbox::Row odd = outbox.rows.at(1);
  odd.row.row = -5;
  outbox.rows[-5] = odd;
  settle();
  CHECK(payloads() == Payloads{"1"});
  CHECK(outbox.rows.at(-5).row.rejected->starts_with("seq: "));
}

TEST_CASE("killed at any point, each row is one event, in the order of the numbers") {
  for (unsigned seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    Rig rig;
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
