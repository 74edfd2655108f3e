// What a disk that is full in the middle of a transaction does to the commands of it. SQLite's writes to the write-ahead
// log, which is where a commit goes, fail as if there were no space left.
#include <doctest/doctest.h>
#include <sqlite3.h>

#include <atomic>
#include <future>
#include <utility>

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
    Write write{CreateEndpoint{new_endpoint()}, std::nullopt};
    Write* batch[] = {&write};
    store.writer().apply(batch);
    REQUIRE_FALSE(write.refused);
    return std::get<CreateEndpoint>(write.command).endpoint;
  }
};

AcceptEvents illegal() {
  NewEvent event = new_event();
  event.event->type = "";
  return {{event}, kDay};
}

}  // namespace

TEST_CASE_FIXTURE(FullDisk,
                  "a removal that finds the disk full takes no delivery away from what is committed later") {
  const auto store = open();
  const Endpoint first = create(*store), second = create(*store);
  NewEvent event = new_event();
  event.more_after = 0;
  event.deliveries = 2;
  Write accept{AcceptEvents{{event}, kDay}, std::nullopt};
  Write* one[] = {&accept};
  store->writer().apply(one);

  GroupCommit commits(store->writer(), {}, [](const std::string& what) { FAIL(what); });
  std::promise<std::optional<Problem>> removed, expanded;
  std::size_t made = 0;
  commits.submit(RemoveEndpoint{first.id, kNow}, [&](Write& write) {
    disk_is_full = false;  // told of it, somebody makes room
    removed.set_value(write.refused);
  });
  commits.submit(
      ExpandEvent{
          .event = event.event, .endpoints = {{first.seq, kNow}, {second.seq, kNow}}, .more_after = {}},
      [&](Write& write) {
        made = std::get<ExpandEvent>(write.command).made.size();
        expanded.set_value(write.refused);
      });
  disk_is_full = true;
  commits.start();
  const auto refused = removed.get_future().get();
  REQUIRE(refused);
  CHECK(refused->code == ProblemCode::kInsufficientStorage);
  CHECK_FALSE(expanded.get_future().get());
  CHECK(made == 2);
  CHECK(store->new_reader()->due(first.seq, kNow, 10, 1000).deliveries.size() == 1);
  CHECK(commit_errors > 0);
  commits.drain();
}

TEST_CASE_FIXTURE(FullDisk,
                  "a command that fails on a full disk is given back as it was, whatever its kind") {
  const auto store = open();
  const Endpoint endpoint = create(*store);
  Write accept{AcceptEvents{{new_event({endpoint.seq})}, kDay}, std::nullopt};
  Write remove{RemoveEndpoint{endpoint.id, kNow}, std::nullopt};
  Write late{AcceptEvents{{new_event({endpoint.seq})}, kDay}, std::nullopt};
  Write bad{illegal(), std::nullopt};
  Write* batch[] = {&accept, &remove, &late, &bad};
  disk_is_full = true;
  CHECK_THROWS_AS(store->writer().apply(batch), StoreFull);
  for (const Write* write : batch) CHECK_FALSE(write->refused);
  for (const Write* write : {&accept, &late}) {
    const auto& command = std::get<AcceptEvents>(write->command);
    CHECK(command.accepted.empty());
    CHECK(command.events[0].endpoints.size() == 1);
    CHECK(command.events[0].event->seq == 0);
  }
  CHECK(std::get<RemoveEndpoint>(remove.command).seq == 0);
  disk_is_full = false;
  store->writer().apply(batch);
  CHECK(std::get<AcceptEvents>(accept.command).accepted.at(0).deliveries == 1);
  CHECK(std::get<AcceptEvents>(late.command).accepted.at(0).deliveries == 0);
  CHECK(bad.refused);
}

TEST_CASE_FIXTURE(FullDisk,
                  "growth stays refused while the ballast is given up, whatever else is in the batch") {
  auto store = open();
  const Endpoint endpoint = create(*store);
  store.reset();
  store = open(std::int64_t{1} << 50);  // there is no room for it: it counts as given up
  Write grows{AcceptEvents{{new_event({endpoint.seq})}, kDay}, std::nullopt};
  Write disable{DisableEndpoint{endpoint.id, "gone", Time{}}, std::nullopt};
  Endpoint broken = endpoint;
  broken.timeout = Millis(0);
  Write illegal_update{UpdateEndpoint{broken, endpoint.updated_at}, std::nullopt};
  Write announce{AnnounceEvent{new_event({endpoint.seq})}, std::nullopt};
  Write* batch[] = {&illegal_update, &grows, &disable, &announce};
  store->writer().apply(batch);
  REQUIRE(illegal_update.refused);
  CHECK(illegal_update.refused->code == ProblemCode::kInternal);
  REQUIRE(grows.refused);
  CHECK(grows.refused->code == ProblemCode::kInsufficientStorage);
  REQUIRE(announce.refused);
  CHECK_FALSE(disable.refused);
  CHECK(store->new_reader()->status().events == 0);
}
