// The runner of batches: its pace, its turns, and that it goes on where it was. (What a batch acts upon:
// store_conformance/operator_batch_test.cpp.)
#include "maintenance/batches.h"

#include <doctest/doctest.h>

#include "store/sqlite/sqlite_store.h"
#include "support/manual_executor.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;
using namespace std::chrono_literals;

namespace {

Result<BatchKeys> find(StoreReader& reader, const OperatorBatch& batch, const std::string& place, int limit) {
  const auto rows = reader.batch_deliveries(batch, Page{limit, place});
  if (!rows) return tl::unexpected(rows.error());
  BatchKeys found{{}, rows->next};
  for (const DeliveryRow& row : rows->rows) found.keys.push_back(row.delivery.key);
  return found;
}

// A daemon as far as batches go; one after the other they share a store.
struct Daemon {
  Daemon(Store& store, const ManualClock& clock)
      : commits(store.writer(), store.ownership().token, clock, {},
                [](const std::string& what) { FAIL(what); }),
        executor(clock),
        batches(executor, store, commits, clock, metrics, find) {
    commits.tell([this](const Facts& facts) {
      for (const auto& changed : only<BatchChanged>(facts)) batches.hear(changed);
    });
  }
  void run() {
    while (commits.step() || executor.step()) {
    }
  }
  template <class C>
  void commit(C command) {
    commits.submit(std::move(command),
                   [](const C&, const Result<typename C::Answer>& answer) { CHECK(answer); });
    run();
  }

  telemetry::Metrics metrics;
  GroupCommit commits;
  ManualExecutor executor;
  Batches batches;
};

struct Rig {
  TemporaryFolder folder;
  ManualClock clock{kNow};
  std::unique_ptr<Store> store = open();
  std::unique_ptr<Daemon> daemon = std::make_unique<Daemon>(*store, clock);

  std::unique_ptr<Store> open() {
    SqliteOptions options;
    options.path = folder / "outbox.db";
    options.clock = &clock;
    return open_sqlite_store(options);
  }
  void make_dead(int count) {
    daemon->commit(CreateEndpoint{shared(new_endpoint())});
    AcceptEvents accept;
    for (int i = 0; i < count; ++i) accept.events.push_back(new_event({1}));
    daemon->commit(accept);
    for (int i = 1; i <= count; ++i) daemon->commit(died({i, 1}, 1));
  }
  BatchId make_batch(RateLimit rate) {
    OperatorBatch batch;
    batch.id = BatchId{ids().next()};
    batch.filter.state = DeliveryState::kDead;
    batch.rate = rate;
    batch.created_at = clock.wall();
    daemon->commit(CreateBatch{std::make_shared<const OperatorBatch>(batch)});
    return batch.id;
  }
  OperatorBatch batch(const BatchId& id) { return *store->new_reader()->batch(id); }
  // Lets time pass in small steps, as timers do.
  void pass(Millis time) {
    for (Millis passed{0}; passed < time; passed += 5ms) {
      clock.advance(5ms);
      daemon->run();
    }
  }
  std::int64_t pending() { return store->new_reader()->status().pending; }
};

}  // namespace

TEST_CASE_FIXTURE(Rig, "a batch keeps to its rate, and ends when all is done") {
  make_dead(300);
  daemon->batches.start();
  const BatchId id = make_batch({.count = 100, .per = 1s});
  pass(1s);
  CHECK(pending() >= 95);
  CHECK(pending() <= 111);  // a tenth of a second's worth at once
  CHECK(batch(id).matched == 300);
  CHECK(batch(id).counted);
  pass(2500ms);
  CHECK(batch(id).state == BatchState::kFinished);
  CHECK(batch(id).done == 300);
  CHECK(batch(id).skipped == 0);
  CHECK(pending() == 300);
  const std::string metrics = daemon->metrics.render();
  CHECK(metrics.find("outbox_batch_running 0") != metrics.npos);
  CHECK(metrics.find(R"(outbox_batch_items_total{action="retry",result="done"} 300)") != metrics.npos);
}

TEST_CASE_FIXTURE(Rig, "time in which nothing could be done is not made up for") {
  make_dead(300);
  const BatchId id = make_batch({.count = 100, .per = 1s});
  daemon->batches.start();
  daemon->run();
  const std::int64_t at_first = pending();
  clock.advance(1h);
  daemon->run();
  CHECK(pending() - at_first <= 11);
  CHECK(batch(id).state == BatchState::kRunning);
}

TEST_CASE_FIXTURE(Rig, "a slow batch does not hold up a new one") {
  make_dead(20);
  daemon->batches.start();
  const BatchId slow = make_batch({.count = 1, .per = 1h});
  pass(1s);
  CHECK(batch(slow).done == 1);
  const BatchId quick = make_batch({.count = 1000, .per = 1s});
  pass(1s);
  CHECK(batch(quick).state == BatchState::kFinished);
  CHECK(batch(quick).done == 19);
  pass(2s);
  CHECK(batch(slow).done == 1);
}

TEST_CASE_FIXTURE(Rig, "a daemon goes on with what another one has begun, and acts on each once") {
  make_dead(200);
  daemon->batches.start();
  const BatchId id = make_batch({.count = 100, .per = 1s});
  pass(500ms);
  const std::int64_t done = batch(id).done;
  CHECK(done > 0);
  daemon.reset();
  store.reset();
  store = open();
  daemon = std::make_unique<Daemon>(*store, clock);
  pass(1s);
  CHECK(batch(id).done == done);  // nobody has told it that it is its business
  daemon->batches.start();
  pass(3s);
  CHECK(batch(id).state == BatchState::kFinished);
  CHECK(batch(id).done == 200);
  CHECK(pending() == 200);
}

TEST_CASE_FIXTURE(
    Rig, "a cancelled batch stops between two steps; one that is stopped too, until it is started again") {
  make_dead(200);
  daemon->batches.start();
  const BatchId id = make_batch({.count = 100, .per = 1s});
  pass(300ms);
  daemon->batches.stop();
  pass(30ms);
  const std::int64_t stopped_at = pending();
  pass(1s);
  CHECK(pending() == stopped_at);
  daemon->batches.start();
  pass(300ms);
  CHECK(pending() > stopped_at);
  daemon->commit(CancelBatch{id, clock.wall()});
  const std::int64_t cancelled_at = pending();
  pass(1s);
  CHECK(pending() == cancelled_at);
  CHECK(batch(id).state == BatchState::kCancelled);
  CHECK(batch(id).done == cancelled_at);
}

TEST_CASE("a pace allows what its rate does, and a tenth of a second's worth at once") {
  MonotonicTime now{1h};
  BatchPace pace({.count = 1000, .per = 1s});
  CHECK(pace.room(now) == 100);
  pace.take(100, now);
  CHECK(pace.room(now) == 0);
  CHECK(pace.room(now + 50ms) == 50);
  CHECK(pace.room(now + 1h) == 100);
  BatchPace slow({.count = 1, .per = 1min});
  CHECK(slow.room(now) == 1);
  slow.take(1, now);
  CHECK(slow.room(now + 59s) == 0);
  CHECK(slow.ready_at() == now + 1min);
  CHECK(slow.room(now + 1min) == 1);
}
