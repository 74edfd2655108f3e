#include "store/sqlite/checkpoint.h"

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "store/sqlite/schema.h"
#include "store/sqlite/sqlite_store.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

struct Served {
  TemporaryFolder folder;
  SqliteOptions options;
  std::unique_ptr<Store> store;
  EndpointSeq endpoint = 0;

  Served() {
    options.path = folder / "outbox.db";
    store = open_sqlite_store(options);
    endpoint = (*apply(CreateEndpoint{shared(new_endpoint())}))->seq;
  }
  template <class C>
  Done<C> apply(C command) {
    auto done = test::apply(*store, std::move(command));
    store->writer().maintain();
    return done;
  }
  void accept_some(int count) {
    std::vector<NewEvent> events;
    for (int i = 0; i < count; ++i) events.push_back(new_event({endpoint}));
    REQUIRE(apply(accepting(std::move(events))));
  }
  std::uintmax_t wal_bytes() { return std::filesystem::file_size(options.path + "-wal"); }
};

constexpr std::uintmax_t kFrameBytes = 4096 + 24;

}  // namespace

TEST_CASE_FIXTURE(Served, "the write-ahead log stays short while nobody reads") {
  for (int i = 0; i < 300; ++i) accept_some(20);
  CHECK(wal_bytes() < 2 * sqlite::Checkpoint::kFrames * kFrameBytes);
  CHECK(store->new_reader()->status().pending == 6000);
}

TEST_CASE_FIXTURE(Served, "the write-ahead log stays bounded while our own readers never pause") {
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      const auto reader = store->new_reader();
      while (!stop) reader->due(endpoint, 200, 1 << 20);
    });
  }
  for (int i = 0; i < 400; ++i) accept_some(20);
  stop = true;
  for (auto& reader : readers) reader.join();
  CHECK(wal_bytes() < 2 * sqlite::Checkpoint::kFramesToGate * kFrameBytes);
}

TEST_CASE_FIXTURE(
    Served, "a reader of another process delays the log's reset, not the commits; afterwards it recovers") {
  {
    sqlite::Database other(options.path, sqlite::Mode::kReader, Millis(1000), 1000);
    other.execute("BEGIN");
    CHECK(other.query_int("SELECT count(*) FROM event") == 0);
    for (int i = 0; i < 150; ++i) accept_some(20);
    CHECK(other.query_int("SELECT count(*) FROM event") == 0);
    other.execute("COMMIT");
  }
  const auto grown = wal_bytes();
  for (int i = 0; i < 300; ++i) accept_some(20);
  CHECK(wal_bytes() <= grown + 2 * sqlite::Checkpoint::kFrames * kFrameBytes);
}

TEST_CASE_FIXTURE(
    Served, "a producer that holds the write lock makes a transaction busy, and a checkpoint wait its turn") {
  options.busy_timeout = Millis(30);
  store.reset();
  store = open_sqlite_store(options);
  sqlite::Database producer(options.path, sqlite::Mode::kWriter, Millis(1000), 1000);
  producer.execute("BEGIN IMMEDIATE");
  const AcceptEvents accept = accepting({new_event({endpoint})});
  CHECK(kind_thrown_by([&] { apply(accept); }) == StoreError::Kind::kBusy);
  store->writer().maintain();
  producer.execute("ROLLBACK");
  apply(accept);
  CHECK(store->new_reader()->status().pending == 1);
}

TEST_CASE_FIXTURE(Served,
                  "producers and the daemon write and checkpoint side by side without losing an index row") {
  std::atomic<int> produced = 0;
  std::vector<std::thread> producers;
  for (int t = 0; t < 2; ++t) {
    producers.emplace_back([&] {
      sqlite::Database db(options.path, sqlite::Mode::kWriter, std::chrono::seconds(20), 1000);
      for (int i = 0; i < 300; ++i) {
        db.execute("BEGIN IMMEDIATE; INSERT INTO outbox(type, payload) VALUES ('a.b', '{}'); COMMIT");
        ++produced;
      }
    });
  }
  const auto reader = store->new_reader();
  std::size_t ingested = 0;
  while (ingested < 600) {
    AcceptEvents accept = accepting({});
    for (const auto& row : reader->outbox(50, 1 << 20)) {
      accept.events.push_back(new_event({endpoint}));
      accept.events.back().outbox_row = row.row;
    }
    if (accept.events.empty()) {
      store->wait_for_changes(Millis(50));
      continue;
    }
    const std::size_t count = accept.events.size();
    const auto kind = kind_thrown_by([&] { apply(std::move(accept)); });
    REQUIRE((!kind || kind == StoreError::Kind::kBusy));
    if (!kind) ingested += count;
  }
  for (auto& producer : producers) producer.join();
  CHECK(produced == 600);
  CHECK(reader->status().pending == 600);
  sqlite::Database db(options.path, sqlite::Mode::kReader, Millis(1000), 1000);
  CHECK(db.query_text("PRAGMA integrity_check") == "ok");
}

namespace {

bool holds(const std::string& path, const std::string& bytes) {
  std::ifstream file(path, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  return content.find(bytes) != std::string::npos;
}

}  // namespace

TEST_CASE_FIXTURE(Served, "what was erased leaves the log also when a kill came before the log began anew") {
  NewEvent event = new_event({endpoint});
  event.event->payload = "\"what nobody may read again\"";
  const EventId id = event.event->id;
  REQUIRE(apply(accepting({std::move(event)})));
  REQUIRE(test::apply(*store, ErasePayload{.id = id, .at = kNow}));  // committed, and no maintain() after it
  TemporaryFolder found;
  SqliteOptions after;
  after.path = found / "outbox.db";
  for (const char* suffix : {"", "-wal"})
    std::filesystem::copy_file(options.path + suffix, after.path + suffix);
  REQUIRE(holds(after.path + "-wal", "nobody may read"));
  const auto again = open_sqlite_store(after);
  again->writer().maintain();
  CHECK_FALSE(holds(after.path, "nobody may read"));
  CHECK_FALSE(holds(after.path + "-wal", "nobody may read"));
}
