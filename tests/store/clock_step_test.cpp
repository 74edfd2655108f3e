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
    Write create{CreateEndpoint{new_endpoint()}, {}};
    Write accept{AcceptEvents{{new_event({1})}, kDay}, {}};
    apply(create);
    apply(accept);
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
  void apply(Write& write) {
    Write* batch[] = {&write};
    store->writer().apply(batch);
    REQUIRE_FALSE(write.refused);
  }
  // An attempt failed now, the next is due after `wait`.
  void fail(Millis wait) {
    RecordOutcome outcome = failed(key, 1, clock.wall() + wait);
    outcome.at = clock.wall();
    Write write{outcome, {}};
    apply(write);
  }
  bool is_due() { return !store->new_reader()->due(1, clock.wall(), 10, 1000).deliveries.empty(); }
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
  CHECK(store->new_reader()->due(1, clock.wall(), 10, 1000).next_due == kNow - step + 10s);
  clock.advance(9'999ms);
  CHECK_FALSE(is_due());
  clock.advance(1ms);
  CHECK(is_due());
  CHECK(store->clock_steps().set_back == step);

  fail(20s);  // decided after the step
  clock.advance(19'999ms);
  CHECK_FALSE(is_due());
  clock.advance(1ms);
  CHECK(is_due());
}

TEST_CASE_FIXTURE(Stepped, "what was decided before the clock was set back is due when it would have been") {
  RecordOutcome outcome = failed(key, 2, clock.wall() + 30s);
  outcome.at = clock.wall();
  clock.step_wall(-1h);
  Write write{outcome, {}};
  apply(write);
  CHECK_FALSE(is_due());
  clock.advance(31s);
  CHECK(is_due());
}

TEST_CASE_FIXTURE(Stepped, "a clock set forward makes due what falls into the skipped time, and no more") {
  clock.step_wall(9s);
  CHECK_FALSE(is_due());
  clock.step_wall(24h * 400);
  CHECK(is_due());
  CHECK(store->clock_steps().jumps == 1);
  fail(10s);
  CHECK_FALSE(is_due());
  clock.step_wall(-24h * 400);
  CHECK_FALSE(is_due());
  clock.advance(10s);
  CHECK(is_due());
}
