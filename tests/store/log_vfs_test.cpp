// How a transaction reaches the write-ahead log, and what its failure does. SQLite's calls below the log's VFS are
// counted, or fail as a disk's would.
#include "store/sqlite/log_vfs.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "store/sqlite/database.h"
#include "store/sqlite/schema.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::sqlite;

namespace {

int writes = 0;
bool disk_fails = false;
decltype(sqlite3_vfs::xOpen) open_file = nullptr;
const sqlite3_io_methods* file_methods = nullptr;

int write_file(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 at) {
  ++writes;
  return disk_fails ? SQLITE_FULL : file_methods->xWrite(file, bytes, count, at);
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

constexpr int kSmallCacheKib = 40;  // ten pages: a larger transaction goes to the log before it is committed

struct OnDisk {
  test::TemporaryFolder folder;
  std::unique_ptr<Database> writer, other;

  OnDisk() {
    create_file(folder / "outbox.db", embedded::sqlite_migrations());
    open_file = std::exchange(sqlite3_vfs_find("unix")->xOpen, open_with_our_writes);
    writer = std::make_unique<Database>(folder / "outbox.db", Mode::kWriter, Millis(1000), kSmallCacheKib);
    other = std::make_unique<Database>(folder / "outbox.db", Mode::kReader, Millis(1000), kSmallCacheKib);
    writer->execute("CREATE TABLE row (n INTEGER PRIMARY KEY, bytes BLOB); INSERT INTO row VALUES (1, '')");
    writes = 0;
  }
  ~OnDisk() {
    disk_fails = false;
    writer.reset();
    other.reset();
    sqlite3_vfs_find("unix")->xOpen = open_file;
  }
  // About one page each.
  void insert(int rows) {
    for (int i = 0; i < rows; ++i)
      writer->execute("INSERT INTO row SELECT max(n) + 1, zeroblob(3000) FROM row");
  }
  std::int64_t rows_seen_by_others() { return other->query_int("SELECT count(*) FROM row"); }
};

}  // namespace

TEST_CASE_FIXTURE(OnDisk, "what a transaction adds to the log is written with one call, and read by others") {
  writer->execute("BEGIN IMMEDIATE");
  insert(3);
  CHECK(writes == 0);
  writer->execute("COMMIT");
  CHECK(writes == 1);
  CHECK(rows_seen_by_others() == 4);
}

TEST_CASE_FIXTURE(OnDisk, "a transaction of any size reaches the log whole") {
  writer->execute("BEGIN IMMEDIATE");
  insert(600);  // more than the cache, and several times what is gathered
  CHECK(rows_seen_by_others() == 1);
  CHECK(writer->query_int("SELECT count(*) FROM row WHERE length(bytes) = 3000") == 600);
  writer->execute("COMMIT");
  CHECK(writes > 1);
  CHECK(writes < 600);
  CHECK(rows_seen_by_others() == 601);
  CHECK(other->query_text("PRAGMA integrity_check") == "ok");
}

TEST_CASE_FIXTURE(OnDisk, "a commit that cannot be written fails, and the next one succeeds") {
  disk_fails = true;
  CHECK_THROWS_AS(insert(3), StoreError);
  CHECK(rows_seen_by_others() == 1);
  disk_fails = false;
  insert(3);
  CHECK(rows_seen_by_others() == 4);
  CHECK(other->query_text("PRAGMA integrity_check") == "ok");
}

TEST_CASE_FIXTURE(OnDisk, "a transaction whose gathered pages were lost cannot be committed") {
  writer->execute("BEGIN IMMEDIATE");
  insert(20);  // some pages are gathered, none is written
  CHECK(writes == 0);
  disk_fails = true;
  CHECK_THROWS_AS(writer->query_int("SELECT sum(length(bytes)) FROM row"), StoreError);
  disk_fails = false;
  CHECK_THROWS_AS(writer->execute("UPDATE row SET n = n; COMMIT"), StoreError);
  if (writer->in_transaction()) writer->execute("ROLLBACK");
  CHECK(rows_seen_by_others() == 1);
  insert(3);
  CHECK(rows_seen_by_others() == 4);
  CHECK(other->query_text("PRAGMA integrity_check") == "ok");
}

TEST_CASE_FIXTURE(OnDisk, "what was rolled back is not there") {
  writer->execute("BEGIN IMMEDIATE");
  insert(600);
  writer->execute("ROLLBACK");
  insert(3);
  CHECK(rows_seen_by_others() == 4);
  CHECK(other->query_text("PRAGMA integrity_check") == "ok");
}

TEST_CASE_FIXTURE(OnDisk, "what was rolled back is not written over what others commit next") {
  writer->execute("CREATE TABLE theirs (n INTEGER PRIMARY KEY, bytes BLOB)");
  Database producer(folder / "outbox.db", Mode::kWriter, Millis(1000), kSmallCacheKib);
  REQUIRE(writer->checkpoint_all());  // a rollback then reads nothing of the log
  SUBCASE("whole") {
    writer->execute("BEGIN IMMEDIATE");
    insert(20);
    writer->execute("ROLLBACK");
  }
  SUBCASE("with pages that the disk did not take when they were read") {
    writer->execute("BEGIN IMMEDIATE");
    insert(20);
    disk_fails = true;
    CHECK_THROWS_AS(writer->query_int("SELECT sum(length(bytes)) FROM row"), StoreError);
    disk_fails = false;
    if (writer->in_transaction()) writer->execute("ROLLBACK");
  }
  for (int i = 0; i < 40; ++i)
    producer.execute("INSERT INTO theirs SELECT coalesce(max(n), 0) + 1, zeroblob(3000) FROM theirs");
  CHECK(writer->query_int("SELECT count(*) FROM theirs WHERE length(bytes) = 3000") == 40);
  insert(3);
  CHECK(rows_seen_by_others() == 4);
  CHECK(other->query_text("PRAGMA integrity_check") == "ok");
}

TEST_CASE_FIXTURE(OnDisk, "a checkpoint finds all of the log, and the log begins anew") {
  for (int i = 0; i < 3; ++i) {
    insert(3);
    CHECK(writer->checkpoint_all());
    CHECK(writer->wal_size() == 0);
    writer->execute("DELETE FROM row WHERE n > 1");
  }
  CHECK(rows_seen_by_others() == 1);
  CHECK(other->query_text("PRAGMA integrity_check") == "ok");
}
