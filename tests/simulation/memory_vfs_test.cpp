#include "simulation/memory_vfs.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <optional>
#include <string>

using namespace outboxd;
using namespace outboxd::simulation;

namespace {

constexpr const char* kVfs = "machine";
constexpr const char* kFile = "/outbox.db";

// A connection as a program other than the store would have it; each call returns SQLite's primary result code.
class Connection {
 public:
  explicit Connection(const std::string& synchronous = "FULL") {
    sqlite3_open_v2(kFile, &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, kVfs);
    run("PRAGMA synchronous=" + synchronous);
    run("PRAGMA journal_mode=WAL");
  }
  ~Connection() { sqlite3_close(db_); }
  Connection(const Connection&) = delete;

  int run(const std::string& sql) { return sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) & 0xff; }
  int insert(int n) { return run("INSERT INTO t VALUES (" + std::to_string(n) + ", randomblob(3000))"); }
  // Absent: it could not be read.
  std::optional<std::string> ask(const std::string& sql) {
    std::optional<std::string> answer;
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
      answer = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return answer;
  }
  std::optional<std::string> rows() { return ask("SELECT count(*) FROM t"); }
  bool is_whole() { return ask("PRAGMA integrity_check") == "ok"; }

 private:
  sqlite3* db_ = nullptr;
};

struct Rig {
  explicit Rig(std::uint64_t seed = 1) : disk(kVfs, seed, clock), random(seed) {
    REQUIRE(Connection().run("CREATE TABLE t(n INTEGER PRIMARY KEY, filler BLOB)") == SQLITE_OK);
  }

  ManualClock clock;
  MemoryDisk disk;
  std::mt19937_64 random;
};

// One life of a machine: some commits, some checkpoints, and a crash between two commits or during one. Returns how
// many commits were acknowledged.
int work_until_crash(Rig& rig, const std::string& synchronous) {
  Connection writer(synchronous);
  int acknowledged = 0;
  if (rig.random() % 2 == 0)
    rig.disk.inject(Fault::kPowerCut, {.nth = static_cast<std::int64_t>(1 + rig.random() % 80)});
  for (auto left = 1 + rig.random() % 12; left > 0; --left) {
    if (writer.insert(acknowledged + 1) != SQLITE_OK) break;
    ++acknowledged;
    if (rig.random() % 4 == 0) writer.run("PRAGMA wal_checkpoint(PASSIVE)");
  }
  rig.disk.heal();
  rig.disk.crash(rig.random);
  return acknowledged;
}

// After the crash everything acknowledged must be there, in an intact database, and at most the commit that was under
// way.
bool has_kept(int acknowledged) {
  Connection reader;
  const auto rows = reader.rows();
  return rows && std::stoi(*rows) >= acknowledged && std::stoi(*rows) <= acknowledged + 1 &&
         reader.is_whole();
}

int losses(const std::string& synchronous, std::uint64_t seeds) {
  int lost = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Rig rig(seed);
    const int acknowledged = work_until_crash(rig, synchronous);
    lost += !has_kept(acknowledged);
  }
  return lost;
}

}  // namespace

TEST_CASE("every commit with synchronous=FULL survives 500 crashes") {
  CHECK(losses("FULL", 500) == 0);
}

TEST_CASE("crashes lose commits that were not synced") {
  CHECK(losses("NORMAL", 100) > 10);
  CHECK(losses("OFF", 100) > 10);
}

TEST_CASE("a crash that follows another within recovery loses nothing either") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Rig rig(seed);
    const int acknowledged = work_until_crash(rig, "FULL");
    for (std::int64_t nth = 1; nth <= 3; ++nth) {
      rig.disk.inject(Fault::kPowerCut, {.nth = nth});
      Connection().run("PRAGMA wal_checkpoint(TRUNCATE)");
      rig.disk.heal();
      rig.disk.crash(rig.random);
    }
    REQUIRE(has_kept(acknowledged));
  }
}

TEST_CASE("two connections see each other's commits, and one at a time writes") {
  Rig rig;
  Connection one, other;
  CHECK(one.insert(1) == SQLITE_OK);
  CHECK(other.rows() == "1");
  CHECK(other.insert(2) == SQLITE_OK);
  CHECK(one.rows() == "2");

  CHECK(one.run("BEGIN IMMEDIATE") == SQLITE_OK);
  CHECK(other.run("BEGIN IMMEDIATE") == SQLITE_BUSY);
  CHECK(one.insert(3) == SQLITE_OK);
  CHECK(other.rows() == "2");  // not committed yet
  CHECK(one.run("COMMIT") == SQLITE_OK);
  CHECK(other.rows() == "3");
}

TEST_CASE("a reader keeps its moment while another connection commits and checkpoints") {
  Rig rig;
  Connection writer, reader;
  CHECK(writer.insert(1) == SQLITE_OK);
  CHECK(reader.run("BEGIN") == SQLITE_OK);
  CHECK(reader.rows() == "1");
  CHECK(writer.insert(2) == SQLITE_OK);
  CHECK(writer.run("PRAGMA wal_checkpoint(PASSIVE)") == SQLITE_OK);
  CHECK(reader.rows() == "1");
  CHECK(reader.run("COMMIT") == SQLITE_OK);
  CHECK(reader.rows() == "2");
}

TEST_CASE("in rollback mode too the locks exclude and the journal undoes what a crash interrupted") {
  Rig rig;
  {
    Connection one, other;
    CHECK(one.insert(1) == SQLITE_OK);
  }
  CHECK(Connection().run("PRAGMA journal_mode=DELETE") == SQLITE_OK);
  sqlite3* one = nullptr;
  sqlite3* other = nullptr;
  REQUIRE(sqlite3_open_v2(kFile, &one, SQLITE_OPEN_READWRITE, kVfs) == SQLITE_OK);
  REQUIRE(sqlite3_open_v2(kFile, &other, SQLITE_OPEN_READWRITE, kVfs) == SQLITE_OK);
  const auto run = [](sqlite3* db, const char* sql) {
    return sqlite3_exec(db, sql, nullptr, nullptr, nullptr);
  };
  CHECK(run(one, "BEGIN IMMEDIATE; INSERT INTO t VALUES (2, randomblob(3000))") == SQLITE_OK);
  CHECK(run(other, "BEGIN IMMEDIATE") == SQLITE_BUSY);
  CHECK(run(other, "BEGIN; SELECT * FROM t") == SQLITE_OK);
  CHECK(run(one, "COMMIT") == SQLITE_BUSY);  // the reader is still there
  CHECK(run(other, "SELECT * FROM sqlite_master; COMMIT") == SQLITE_OK);
  rig.disk.inject(Fault::kPowerCut, {.nth = 5});
  CHECK(run(one, "COMMIT") != SQLITE_OK);
  rig.disk.heal();
  rig.disk.crash(rig.random);
  sqlite3_close(one);
  sqlite3_close(other);
  CHECK(has_kept(1));
}

TEST_CASE("errors of the disk reach the caller, and what was committed before stays") {
  struct Case {
    Fault fault;
    int code;
  };
  for (const auto& [fault, code] :
       {Case{Fault::kWriteError, SQLITE_IOERR}, Case{Fault::kSyncError, SQLITE_IOERR},
        Case{Fault::kFull, SQLITE_FULL}, Case{Fault::kBusy, SQLITE_BUSY}}) {
    Rig rig;
    {
      Connection writer;
      CHECK(writer.insert(1) == SQLITE_OK);
      rig.disk.inject(fault, {.nth = 1});
      CHECK(writer.insert(2) == code);
      CHECK(rig.disk.struck(fault) == 1);
    }
    rig.disk.crash(rig.random);
    CHECK(has_kept(1));
  }
}

TEST_CASE("an error of a read reaches the caller") {
  Rig rig;
  CHECK(Connection().insert(1) == SQLITE_OK);
  Connection reader;
  rig.disk.inject(Fault::kReadError, {.probability = 1});
  CHECK(reader.rows() == std::nullopt);
  rig.disk.heal();
  CHECK(reader.rows() == "1");
}

TEST_CASE("the nth call is struck and as many after it as were asked for") {
  Rig rig;
  Connection writer;
  rig.disk.inject(Fault::kBusy, {.nth = 2, .times = 2});
  CHECK(writer.insert(1) == SQLITE_OK);
  CHECK(writer.insert(2) == SQLITE_BUSY);
  CHECK(writer.insert(3) == SQLITE_BUSY);
  CHECK(writer.insert(4) == SQLITE_OK);
  CHECK(writer.rows() == "2");
}

TEST_CASE("slow calls are counted, and nothing waits") {
  Rig rig;
  Connection writer;
  rig.disk.inject(Fault::kSlow, {.probability = 1});
  const auto calls = [&] { return rig.disk.counters().writes + rig.disk.counters().syncs; };
  const auto before = calls();
  CHECK(writer.insert(1) == SQLITE_OK);
  CHECK(rig.disk.struck(Fault::kSlow) == calls() - before);
}

TEST_CASE("time is the clock's, and the same seed gives the same bytes") {
  const auto life = [] {
    Rig rig(7);
    Connection writer;
    CHECK(writer.insert(1) == SQLITE_OK);
    return *writer.ask("SELECT hex(filler) FROM t") + *writer.ask("SELECT strftime('%s', 'now')");
  };
  const std::string first = life();
  CHECK(first == life());
  CHECK(first.ends_with("1767225600"));
}

TEST_CASE("connections of before a crash fail and change nothing, and leave nothing open") {
  Rig rig;
  {
    Connection old;
    CHECK(old.insert(1) == SQLITE_OK);
    rig.disk.crash(rig.random);
    CHECK(old.insert(2) != SQLITE_OK);
    CHECK(old.rows() == std::nullopt);
    Connection now;
    CHECK(now.insert(3) == SQLITE_OK);
    CHECK(old.insert(4) != SQLITE_OK);
    CHECK(now.rows() == "2");
  }
  CHECK(Connection().rows() == "2");
  CHECK(rig.disk.counters().open_files == 0);
}

TEST_CASE("after a power cut nothing works until the machine is on again") {
  Rig rig;
  Connection writer;
  CHECK(writer.insert(1) == SQLITE_OK);
  rig.disk.inject(Fault::kPowerCut, {.nth = 1});
  CHECK(writer.insert(2) == SQLITE_IOERR);
  CHECK(writer.insert(3) == SQLITE_IOERR);
  CHECK(writer.rows() == std::nullopt);
  CHECK(Connection().rows() == std::nullopt);
  rig.disk.crash(rig.random);
  CHECK(has_kept(1));
}

TEST_CASE("nothing is left registered") {
  { Rig rig; }
  CHECK(sqlite3_vfs_find(kVfs) == nullptr);
  CHECK(sqlite3_vfs_find(nullptr)->zName == std::string("unix"));
}
