// Due times of the real store when somebody sets the clock.
#include <doctest/doctest.h>

#include "store/sqlite/sqlite_store.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;
using namespace std::chrono_literals;

namespace {

struct Stepped {
  TemporaryFolder folder;
  ManualClock clock{kNow};
  std::unique_ptr<Store> store;
  DeliveryKey key;

  Stepped() {
    open();
    apply(CreateEndpoint{shared(new_endpoint())});
    apply(accepting({new_event({1})}));
    key = {1, 1};
    fail(10s);
  }
  void open() {
    store.reset();
    SqliteOptions options;
    options.path = folder / "outbox.db";
    options.clock = &clock;
    store = open_sqlite_store(options);
  }
  template <class C>
  void apply(C command) {
    REQUIRE(test::apply(*store, std::move(command)));
  }
  // What is told of the clock since it was asked last.
  std::vector<DueTimesMoved> moves() { return only<DueTimesMoved>(store->wait_for_changes(Millis(0))); }
  // An attempt failed now, the next is due after `wait`.
  void fail(Millis wait) {
    RecordOutcome outcome = failed(key, 1, wait);
    outcome.at = clock.wall();
    apply(outcome);
  }
  DueWindow window() { return store->new_reader()->due(1, 10, 1000); }
  bool is_due() { return !window().deliveries.empty(); }
  Time shown() { return store->new_reader()->delivery(key)->delivery.due_at; }
};

}  // namespace

TEST_CASE_FIXTURE(Stepped, "a clock set back makes nothing wait longer, while running and across a restart") {
  const Millis step = 24h * 400;
  SUBCASE("while running") {
    clock.step_wall(-step);
  }
  SUBCASE("while down") {
    store.reset();
    clock.step_wall(-step);
    open();
  }
  CHECK_FALSE(is_due());
  CHECK(shown() == kNow - step + 10s);
  CHECK(window().next_due_in == 10s);
  clock.advance(9'999ms);
  CHECK_FALSE(is_due());
  clock.advance(1ms);
  CHECK(is_due());
  CHECK(moves().empty());

  fail(20s);  // decided after the step
  clock.advance(19'999ms);
  CHECK_FALSE(is_due());
  clock.advance(1ms);
  CHECK(is_due());
}

TEST_CASE_FIXTURE(Stepped, "what was decided before the clock was set back is due when it would have been") {
  RecordOutcome outcome = failed(key, 2, 30s);
  outcome.at = clock.wall();
  clock.step_wall(-1h);
  apply(outcome);
  CHECK_FALSE(is_due());
  clock.advance(31s);
  CHECK(is_due());
}

TEST_CASE_FIXTURE(Stepped, "a clock set forward makes due what falls into the skipped time, and no more") {
  CHECK(moves().empty());
  clock.step_wall(9s);
  CHECK_FALSE(is_due());
  CHECK(window().next_due_in == 1s);
  REQUIRE(moves().size() == 1);
  clock.step_wall(24h * 400);
  CHECK(is_due());
  const auto far = moves();
  REQUIRE(far.size() == 1);
  CHECK(far[0].by_far);
  CHECK(moves().empty());
  fail(10s);
  CHECK_FALSE(is_due());
  clock.step_wall(-24h * 400);
  CHECK_FALSE(is_due());
  clock.advance(10s);
  CHECK(is_due());
}

TEST_CASE_FIXTURE(Stepped, "a clock that is far ahead at the start is told of as one that was set wrongly") {
  store.reset();
  clock.step_wall(24h * 400);
  open();
  const auto far = moves();
  REQUIRE(far.size() == 1);
  CHECK(far[0].by_far);
}

TEST_CASE_FIXTURE(Stepped, "a wait that is told with a fact is from then on, whatever the clock did before") {
  clock.step_wall(-1h);
  NewEvent later = new_event({1});
  later.event->created_at = clock.wall();
  later.endpoints[0].due_in = 10s;
  clock.advance(4s);
  const auto ready = only<DeliveryReady>(test::apply(*store, accepting({later})).facts);
  REQUIRE(ready.size() == 1);
  CHECK(ready[0].delivery.due_in == 6s);
  RecordOutcome outcome = failed(ready[0].delivery.key, 1, 20s);
  outcome.at = clock.wall();
  clock.advance(5s);
  const auto recorded = only<OutcomeRecorded>(test::apply(*store, outcome).facts);
  REQUIRE(recorded.size() == 1);
  CHECK(recorded[0].due_in == 15s);
  CHECK(recorded[0].now.due_at == clock.wall() + 15s);
}
