// The pace of retention; what it deletes is the store's matter (store_conformance/retention_test.cpp).
#include "maintenance/retention.h"

#include <doctest/doctest.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>

#include "store/sqlite/sqlite_store.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;
using namespace std::chrono_literals;

namespace {

struct Rig {
  TemporaryFolder folder;
  ManualClock clock{kNow};
  telemetry::Metrics metrics;
  std::unique_ptr<Store> store = open();
  GroupCommit commits{store->writer(), {}, [](const std::string& what) { FAIL(what); }};

  struct Task {
    Millis wait;
    std::function<void()> run;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Task> tasks;  // guarded by mutex
  Retention retention{commits, clock, metrics, [this](Millis wait, std::function<void()> run) {
                        const std::lock_guard lock(mutex);
                        tasks.push_back({wait, std::move(run)});
                        changed.notify_all();
                      }};

  Rig() {
    commits.start();
    retention.set({.delivered = 24h, .dead = 48h, .at_least = 1h});
  }
  ~Rig() { commits.drain(); }
  std::unique_ptr<Store> open() {
    SqliteOptions options;
    options.path = folder / "outbox.db";
    options.clock = &clock;
    return open_sqlite_store(options);
  }

  // What retention wants to be run next, when the step before is done.
  Task next() {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, 20s, [this] { return !tasks.empty(); }));
    Task task = std::move(tasks.front());
    tasks.pop_front();
    return task;
  }
  void accept(int count, std::vector<EndpointSeq> endpoints) {
    AcceptEvents accept;
    for (int i = 0; i < count; ++i) accept.events.push_back(new_event(endpoints));
    std::promise<void> done;
    commits.submit(std::move(accept), [&](Write&) { done.set_value(); });
    done.get_future().get();
  }
  std::int64_t events() { return store->new_reader()->status().events; }
};

}  // namespace

TEST_CASE_FIXTURE(Rig,
                  "a round goes on step by step, and comes again after the interval however long it took") {
  accept(600, {});
  clock.advance(25h);
  retention.start();
  auto task = next();
  CHECK(task.wait == Retention::kPause);
  int steps = 0;
  do {
    clock.advance(1min);
    task.run();
    task = next();
    ++steps;
  } while (task.wait == Retention::kPause);
  CHECK(steps == 3);
  CHECK(task.wait == Retention::kInterval);
  CHECK(events() == 0);
}

TEST_CASE_FIXTURE(Rig, "a round that only looked comes again after twenty times what that took") {
  accept(600, {1});  // pending: looked at, and kept
  clock.advance(25h);
  retention.start();
  next().run();
  auto task = next();
  REQUIRE(task.wait == 2 * Retention::kPause);
  clock.advance(1min);
  task.run();
  CHECK(next().wait == 20min);
  CHECK(events() == 600);
}

TEST_CASE_FIXTURE(Rig,
                  "steps that find nothing to delete follow each other ever more slowly, up to a bound") {
  accept(7 * 512, {1});
  clock.advance(25h);
  retention.start();
  next().run();
  std::vector<Millis> waits;
  auto task = next();
  while (task.wait < Retention::kInterval) {
    waits.push_back(task.wait);
    task.run();
    task = next();
  }
  CHECK(waits == std::vector<Millis>{20ms, 40ms, 80ms, 160ms, 160ms, 160ms, 160ms});
}

TEST_CASE_FIXTURE(Rig, "a round that looked for long and deleted nothing comes again within the hour") {
  accept(600, {1});
  clock.advance(25h);
  retention.start();
  next().run();
  auto task = next();
  clock.advance(10min);
  task.run();
  CHECK(next().wait == Retention::kLongestInterval);
}

TEST_CASE_FIXTURE(Rig, "after the clock jumped forward nothing is deleted for an hour") {
  accept(10, {});
  clock.step_wall(24h * 400);
  retention.hold();
  retention.start();
  next().run();
  auto task = next();
  CHECK(task.wait == Retention::kInterval);
  CHECK(events() == 10);
  clock.advance(1h);
  task.run();
  CHECK(next().wait == Retention::kInterval);
  CHECK(events() == 0);
}

TEST_CASE_FIXTURE(Rig, "what is wanted kept for less than an idempotency key lives is kept that long") {
  accept(10, {});
  clock.advance(30min);
  std::promise<Pruned> done;
  retention.step({.delivered = 0s, .dead = 0s, .at_least = 1h}, {},
                 [&](const Prune& prune, const std::optional<Problem>&) { done.set_value(prune.pruned); });
  CHECK(done.get_future().get().events == 0);
}

TEST_CASE_FIXTURE(Rig, "once stopped it asks for nothing more") {
  retention.start();
  auto task = next();
  retention.stop();
  task.run();
  const std::lock_guard lock(mutex);
  CHECK(tasks.empty());
}
