#include <doctest/doctest.h>

#include <filesystem>

#include "simulation/memory_vfs.h"
#include "store/sqlite/sqlite_store.h"
#include "store/sqlite/sqlite_tools.h"
#include "support/store_values.h"

using namespace outboxd;
using namespace outboxd::simulation;

namespace {

struct Machine {
  explicit Machine(std::uint64_t seed) : disk("machine", seed, clock), random(seed) {
    options.path = "/simulated/outbox.db";
    options.vfs = "machine";
    options.clock = &clock;
    options.ballast_bytes = 1 << 20;  // not made: there is no disk to make it on
    store = open_sqlite_store(options);
    endpoint = (*test::apply(*store, CreateEndpoint{test::shared(test::new_endpoint())}))->seq;
  }

  EventId accept() {
    NewEvent event = test::new_event({endpoint});
    event.event->payload = std::string(random() % 9000, 'x');
    const EventId id = event.event->id;
    test::apply(*store, test::accepting({std::move(event)}));
    store->writer().maintain();
    return id;
  }
  void restart_after_crash() {
    disk.heal();
    disk.crash(random);
    store.reset();
    store = open_sqlite_store(options);
  }
  bool has(const EventId& id) { return store->new_reader()->event(id, true).has_value(); }

  ManualClock clock;
  MemoryDisk disk;
  std::mt19937_64 random;
  SqliteOptions options;
  std::unique_ptr<Store> store;
  EndpointSeq endpoint = 0;
};

}  // namespace

TEST_CASE("an accepted event is found after a crash, for 200 seeds") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Machine machine(seed);
    const EventId accepted = machine.accept();
    machine.restart_after_crash();
    REQUIRE(machine.has(accepted));
    REQUIRE(machine.store->new_reader()->due(machine.endpoint, 10, 1 << 20).deliveries.size() == 1);
  }
}

TEST_CASE("a crash within a commit leaves all of it or nothing, and everything acknowledged before") {
  int interrupted = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Machine machine(seed);
    std::vector<EventId> accepted;
    machine.disk.inject(Fault::kPowerCut, {.nth = static_cast<std::int64_t>(1 + machine.random() % 200)});
    try {
      for (int i = 0; i < 40; ++i) accepted.push_back(machine.accept());
    } catch (const StoreError&) {
      ++interrupted;
    }
    machine.restart_after_crash();
    for (const EventId& id : accepted) REQUIRE(machine.has(id));
    REQUIRE(machine.store->new_reader()->status().events <= static_cast<std::int64_t>(accepted.size()) + 1);
    REQUIRE(check_sqlite(machine.options, false).empty());
  }
  CHECK(interrupted > 30);
}

TEST_CASE("a crash while the database is made leaves one that the next start completes") {
  int interrupted = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    ManualClock clock;
    MemoryDisk disk("machine", seed, clock);
    std::mt19937_64 random(seed);
    const SqliteOptions options{.path = "/outbox.db", .vfs = "machine", .clock = &clock};
    disk.inject(Fault::kPowerCut, {.nth = static_cast<std::int64_t>(seed)});
    try {
      open_sqlite_store(options);
    } catch (const StoreError&) {
      ++interrupted;
    }
    disk.heal();
    disk.crash(random);
    CHECK(open_sqlite_store(options)->new_reader()->status().events == 0);
    CHECK(check_sqlite(options, true).empty());
  }
  CHECK(interrupted > 20);
}

TEST_CASE("the store says what the disk does to it") {
  Machine machine(1);
  const EventId before = machine.accept();
  machine.disk.inject(Fault::kBusy, {.nth = 1, .times = 1000});
  CHECK(test::kind_thrown_by([&] { machine.accept(); }) == StoreError::Kind::kBusy);
  machine.disk.heal();
  machine.disk.inject(Fault::kFull, {.probability = 1});
  CHECK(test::kind_thrown_by([&] { machine.accept(); }) == StoreError::Kind::kFull);
  machine.disk.heal();
  const EventId between = machine.accept();
  machine.disk.inject(Fault::kSyncError, {.nth = 1});
  CHECK(test::kind_thrown_by([&] { machine.accept(); }) == StoreError::Kind::kFailed);
  machine.disk.heal();
  CHECK(test::kind_thrown_by([&] { machine.accept(); }) == StoreError::Kind::kFailed);  // it takes no more
  machine.restart_after_crash();
  CHECK(machine.has(before));
  CHECK(machine.has(between));
  CHECK(check_sqlite(machine.options, false).empty());
}

TEST_CASE("files have sizes, checkpoints run, and nothing appears outside the memory disk") {
  Machine machine(1);
  for (int i = 0; i < 400; ++i) machine.accept();
  const StoreStatus status = machine.store->new_reader()->status();
  CHECK(status.events == 400);
  CHECK(status.database_bytes > 1'000'000);  // checkpointed
  REQUIRE(status.figures.at(0).first == "wal_bytes");
  CHECK(status.figures.at(0).second > 100'000);
  machine.store->wait_for_changes(Millis(0));
  machine.store->writer().finish();
  machine.store.reset();
  CHECK(machine.disk.counters().open_files == 0);
  CHECK_FALSE(std::filesystem::exists("/simulated"));
}
