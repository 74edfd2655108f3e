// What a disk that is full in the middle of a transaction does to the commands of it. SQLite's writes to the write-ahead
// log, which is where a commit goes, fail as if there were no space left.
#include <doctest/doctest.h>
#include <sqlite3.h>

#include <atomic>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "store/group_commit.h"
#include "store/sqlite/sqlite_store.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

std::atomic<bool> disk_is_full = false;
decltype(sqlite3_vfs::xOpen) open_file = nullptr;
const sqlite3_io_methods* file_methods = nullptr;

int write_file(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 at) {
  return disk_is_full ? SQLITE_FULL : file_methods->xWrite(file, bytes, count, at);
}

int open_with_our_writes(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
  static sqlite3_io_methods ours;
  const int rc = open_file(vfs, name, file, flags, out);
  if (rc != SQLITE_OK || (flags & SQLITE_OPEN_WAL) == 0) return rc;
  file_methods = file->pMethods;
  ours = *file_methods;
  ours.xWrite = write_file;
  file->pMethods = &ours;
  return rc;
}

// For as long as it lives every log that SQLite opens is on that disk.
struct Disk {
  Disk() { open_file = std::exchange(sqlite3_vfs_find("unix")->xOpen, open_with_our_writes); }
  ~Disk() {
    disk_is_full = false;
    sqlite3_vfs_find("unix")->xOpen = open_file;
  }
};

struct FullDisk {
  Disk disk;
  TemporaryFolder folder;
  std::atomic<int> commit_errors = 0;

  std::unique_ptr<Store> open(std::int64_t ballast_bytes = 0) {
    SqliteOptions options;
    options.path = folder / "outbox.db";
    options.ballast_bytes = ballast_bytes;
    options.on_error = [this](std::string_view op) { commit_errors += op == "commit"; };
    return open_sqlite_store(options);
  }
  static Endpoint create(Store& store) {
    const auto made = apply(store, CreateEndpoint{shared(new_endpoint())});
    REQUIRE(made);
    return **made;
  }
};

AcceptEvents illegal() {
  NewEvent event = new_event();
  event.event->type = "";
  return accepting({event});
}

}  // namespace

TEST_CASE_FIXTURE(FullDisk,
                  "a removal that finds the disk full makes nothing stale that is committed later") {
  const auto store = open();
  const Endpoint first = create(*store), second = create(*store);
  NewEvent event = new_event();
  event.more_after = 0;
  event.deliveries = 2;
  REQUIRE(apply(*store, accepting({event})));

  const SystemClock clock;
  GroupCommit commits(store->writer(), store->ownership().token, clock, {},
                      [](const std::string& what) { FAIL(what); });
  std::promise<Result<EndpointPtr>> removed;
  std::promise<Result<Expanded>> expanded;
  commits.submit(RemoveEndpoint{first.id, kNow}, [&](RemoveEndpoint&, Result<EndpointPtr> answer) {
    disk_is_full = false;  // told of it, somebody makes room
    removed.set_value(std::move(answer));
  });
  commits.submit(ExpandEvent{.event = event.event,
                             .endpoints = {{.endpoint = first.seq}, {.endpoint = second.seq}},
                             .more_after = {}},
                 [&](ExpandEvent&, Result<Expanded> answer) { expanded.set_value(std::move(answer)); });
  disk_is_full = true;
  commits.start();
  const auto refused = removed.get_future().get();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ProblemCode::kInsufficientStorage);
  const auto made = expanded.get_future().get();
  REQUIRE(made);
  CHECK_FALSE(made->stale);
  CHECK(store->new_reader()->due(first.seq, 10, 1000).deliveries.size() == 1);
  CHECK(commit_errors > 0);
  commits.drain();
}

TEST_CASE_FIXTURE(FullDisk, "a batch that fails on a full disk leaves no trace, whatever is in it") {
  const auto store = open();
  const Endpoint endpoint = create(*store);
  const DirectoryVersion version = store->new_reader()->all_endpoints().version;
  AcceptEvents accept = accepting({new_event({endpoint.seq})});
  accept.matched = version;
  AcceptEvents late = accepting({new_event({endpoint.seq})});
  late.matched = version;
  const std::vector<Command> batch{accept, RemoveEndpoint{endpoint.id, kNow}, late, illegal()};
  disk_is_full = true;
  CHECK(kind_thrown_by([&] { apply_all(*store, batch); }) == StoreError::Kind::kFull);
  CHECK(accept.events[0].event->seq == 0);
  disk_is_full = false;
  CHECK(store->new_reader()->all_endpoints().version == version);
  const Applied applied = apply_all(*store, batch);
  CHECK(answer_to<AcceptEvents>(applied, 0)->events.at(0).deliveries == 1);
  CHECK(accept.events[0].event->seq == 1);
  CHECK(answer_to<AcceptEvents>(applied, 2)->stale);
  CHECK(late.events[0].event->seq == 0);
  CHECK_FALSE(applied.answers[3]);
  CHECK(only<DeliveryReady>(applied.facts).size() == 1);
}

TEST_CASE_FIXTURE(FullDisk,
                  "growth stays refused while the ballast is given up, whatever else is in the batch") {
  auto store = open();
  const Endpoint endpoint = create(*store);
  store.reset();
  store = open(std::int64_t{1} << 50);  // there is no room for it: it counts as given up
  Endpoint broken = endpoint;
  broken.timeout = Millis(0);
  const std::vector<Command> batch{
      UpdateEndpoint{shared(broken), endpoint.updated_at}, accepting({new_event({endpoint.seq})}),
      DisableEndpoint{endpoint.id, kNow, endpoint.updated_at, "gone"}, announcing(new_event({endpoint.seq}))};
  const Applied applied = apply_all(*store, batch);
  REQUIRE_FALSE(applied.answers[0]);
  CHECK(applied.answers[0].error().code == ProblemCode::kInternal);
  REQUIRE_FALSE(applied.answers[1]);
  CHECK(applied.answers[1].error().code == ProblemCode::kInsufficientStorage);
  CHECK(applied.answers[2]);
  CHECK_FALSE(applied.answers[3]);
  CHECK(store->new_reader()->status().events == 0);
}

TEST_CASE_FIXTURE(FullDisk, "what may be committed already is not refused for growth") {
  auto store = open();
  const Endpoint endpoint = create(*store);
  const NewEvent event = new_event({endpoint.seq});
  REQUIRE(apply(*store, accepting({event})));
  store.reset();
  store = open(std::int64_t{1} << 50);
  const auto again = apply(*store, accepting({event}), true);
  REQUIRE(again);
  CHECK(again->events.at(0).id == event.event->id);
  CHECK(store->new_reader()->status().events == 1);
}
