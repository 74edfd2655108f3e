// The pace of retention; what it deletes is the store's matter (store_conformance/retention_test.cpp).
#include "maintenance/retention.h"

#include <doctest/doctest.h>

#include <optional>

#include "store/sqlite/sqlite_store.h"
#include "support/manual_executor.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;
using namespace std::chrono_literals;

namespace {

// Rows of a first step that are of the roll-up: the minute in which the events were accepted goes into its hour.
constexpr std::int64_t kOfRollUp = 1;

struct Rig {
  TemporaryFolder folder;
  ManualClock clock{kNow};
  telemetry::Metrics metrics;
  std::unique_ptr<Store> store = open();
  GroupCommit commits{
      store->writer(), store->ownership().token, clock, {}, [](const std::string& what) { FAIL(what); }};
  ManualExecutor executor{clock};
  Retention retention{commits, clock, metrics, executor};

  Rig() { retention.set({.delivered = 24h, .dead = 48h, .at_least = 1h}); }
  std::unique_ptr<Store> open() {
    SqliteOptions options;
    options.path = folder / "outbox.db";
    options.clock = &clock;
    return open_sqlite_store(options);
  }

  // Does what is to be done now. How long retention waits then, if it does.
  std::optional<Millis> next_wait() {
    while (commits.step() || executor.step()) {
    }
    return executor.next_wait();
  }
  // The same when what it waits for has come, and then `late`.
  std::optional<Millis> go_on(Millis late = 0ms) {
    const auto wait = next_wait();
    REQUIRE(wait);
    clock.advance(*wait + late);
    return next_wait();
  }
  void accept(int count, const std::vector<EndpointSeq>& endpoints) {
    if (!endpoints.empty()) {
      commits.submit(CreateEndpoint{std::make_shared<const Endpoint>(new_endpoint())},
                     [](const CreateEndpoint&, const Result<EndpointPtr>& made) { CHECK(made); });
      commits.step();
    }
    AcceptEvents accept;
    for (int i = 0; i < count; ++i) accept.events.push_back(new_event(endpoints));
    commits.submit(std::move(accept),
                   [](const AcceptEvents&, const Result<Accepted>& accepted) { CHECK(accepted); });
    commits.step();
  }
  std::int64_t events() { return store->new_reader()->status().events; }
};

}  // namespace

TEST_CASE_FIXTURE(Rig,
                  "a round goes on step by step, and comes again after the interval however long it took") {
  accept(600, {});
  clock.advance(25h);
  retention.start();
  CHECK(next_wait() == Retention::kPause);
  int steps = 1;
  auto wait = go_on();
  for (; wait == Retention::kPause; wait = go_on(1min)) ++steps;
  CHECK(steps == 3);
  CHECK(wait == Retention::kInterval);
  CHECK(events() == 0);
}

TEST_CASE_FIXTURE(Rig, "a round that only looked comes again after twenty times what that took") {
  accept(600, {1});  // pending: looked at, and kept
  clock.advance(25h);
  retention.start();
  REQUIRE(go_on() == 2 * Retention::kPause);
  CHECK(go_on(1min - 2 * Retention::kPause) == 20min);
  CHECK(events() == 600);
}

TEST_CASE_FIXTURE(Rig,
                  "steps that find nothing to delete follow each other ever more slowly, up to a bound") {
  accept(7 * 512, {1});
  clock.advance(25h);
  retention.start();
  std::vector<Millis> waits;
  for (auto wait = go_on(); wait && *wait < Retention::kInterval; wait = go_on()) waits.push_back(*wait);
  CHECK(waits == std::vector<Millis>{20ms, 40ms, 80ms, 160ms, 160ms, 160ms, 160ms});
}

TEST_CASE_FIXTURE(Rig, "a round that looked for long and deleted nothing comes again within the hour") {
  accept(600, {1});
  clock.advance(25h);
  retention.start();
  go_on();
  CHECK(go_on(10min) == Retention::kMaxInterval);
}

TEST_CASE_FIXTURE(Rig, "after the clock jumped forward nothing is deleted for an hour") {
  accept(10, {});
  clock.step_wall(24h * 400);
  retention.hear(DueTimesMoved{.by_far = true});
  retention.start();
  CHECK(go_on() == Retention::kInterval);
  CHECK(events() == 10);
  CHECK(go_on(1h) == Retention::kInterval);
  CHECK(events() == 0);
}

TEST_CASE_FIXTURE(Rig, "a round that is under way when the clock jumps forward ends where it is") {
  accept(600, {});
  clock.advance(25h);
  retention.start();
  CHECK(go_on() == Retention::kPause);
  const std::int64_t left = events();
  CHECK(left == 600 - Retention::kRows + kOfRollUp);
  retention.hear(DueTimesMoved{.by_far = true});
  CHECK(go_on() == Retention::kInterval);
  CHECK(events() == left);
  go_on(1h);
  CHECK(events() < left);
}

TEST_CASE_FIXTURE(Rig, "a small step of the clock holds up nothing") {
  accept(10, {});
  clock.step_wall(25h);
  retention.hear(DueTimesMoved{});
  retention.start();
  go_on();
  CHECK(events() == 0);
}

TEST_CASE_FIXTURE(Rig, "what is wanted kept for less than an idempotency key lives is kept that long") {
  accept(10, {});
  clock.advance(30min);
  std::optional<Result<Pruned>> done;
  retention.step({.delivered = 0s, .dead = 0s, .at_least = 1h}, {},
                 [&](Result<Pruned> pruned) { done = std::move(pruned); });
  next_wait();
  REQUIRE(done);
  CHECK(done->value().events == 0);
}

TEST_CASE_FIXTURE(Rig, "once stopped it asks for nothing more, until it is started again") {
  accept(10, {});
  clock.advance(25h);
  retention.start();
  next_wait();
  retention.stop();
  CHECK_FALSE(go_on());
  CHECK(events() == 10);
  retention.start();
  CHECK(go_on() == Retention::kInterval);
  CHECK(events() == 0);
}

TEST_CASE_FIXTURE(Rig, "started twice, it goes its round once") {
  accept(600, {});
  clock.advance(25h);
  retention.start();
  retention.start();
  go_on();
  CHECK(events() == 600 - Retention::kRows + kOfRollUp);
}

TEST_CASE_FIXTURE(
    Rig, "payloads go after what is to be deleted, in the same round, and only if that is asked for") {
  accept(300, {});
  clock.advance(2h);
  const auto with_payload = [&] {
    std::int64_t left = 0;
    Page page{1000, ""};
    const auto rows = store->new_reader()->events({}, page);
    REQUIRE(rows);
    for (const EventRow& row : rows->rows) left += row.payload_bytes > 0;
    return left;
  };
  retention.start();
  CHECK(go_on() == Retention::kInterval);
  CHECK(with_payload() == 300);
  retention.set({.delivered = 24h, .dead = 48h, .at_least = 1h, .payload = 1h});
  CHECK(retention.periods().payload == 1h);
  CHECK(go_on() == Retention::kPause);
  CHECK(with_payload() == 300 - Retention::kRows);
  CHECK(go_on() == Retention::kInterval);
  CHECK(with_payload() == 0);
  CHECK(events() == 300);
  CHECK(metrics.render().find("outbox_pruned_total{table=\"payload\"} 300") != std::string::npos);
  retention.set({.delivered = 24h, .dead = 48h, .at_least = 1h});
  CHECK_FALSE(retention.periods().payload);
}

TEST_CASE_FIXTURE(Rig, "after the clock jumped forward no payload goes either") {
  accept(10, {});
  retention.set({.delivered = 24h, .dead = 48h, .at_least = 1h, .payload = 1h});
  clock.step_wall(24h * 400);
  retention.hear(DueTimesMoved{.by_far = true});
  retention.start();
  go_on();
  CHECK(store->new_reader()->events({}, {1, ""})->rows.at(0).payload_bytes > 0);
}
