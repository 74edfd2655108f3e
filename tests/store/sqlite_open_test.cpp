#include <doctest/doctest.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "store/sqlite/file_lock.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/sqlite_store.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

struct Folder {
  TemporaryFolder folder;
  SqliteOptions options;
  Folder() { options.path = folder / "outbox.db"; }

  // Why it cannot be opened; absent when it can.
  std::optional<StoreError::Kind> why_not(std::string* message = nullptr) {
    try {
      open_sqlite_store(options);
      return std::nullopt;
    } catch (const StoreError& unusable) {
      if (message) *message = unusable.what();
      return unusable.kind;
    }
  }
  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
  }
  std::string read(const std::string& name) {
    std::ifstream in(folder / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void sql(const std::string& text) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(options.path.c_str(), &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, text.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
  }
};

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE_FIXTURE(Folder, "a new database can be written by its group, whatever the umask") {
  const mode_t before = umask(0077);
  const auto store = open_sqlite_store(options);
  umask(before);
  CHECK(mode_of(options.path) == 0660);
  CHECK(mode_of(options.path + "-wal") == 0660);
  CHECK(mode_of(options.path + "-shm") == 0660);
  CHECK(mode_of(options.path + ".lock") == 0660);
  CHECK(store->new_reader()->status().schema_version == sqlite_schema(options).known);
}

TEST_CASE_FIXTURE(Folder, "a second store on the same file is refused and names the first one's pid") {
  const auto store = open_sqlite_store(options);
  std::string message;
  CHECK(why_not(&message) == StoreError::Kind::kLocked);
  CHECK(message.find("already served by pid " + std::to_string(getpid())) != std::string::npos);
  CHECK_THROWS_AS(migrate_sqlite(options), StoreError);
  CHECK(sqlite_schema(options).current == sqlite_schema(options).known);  // looking is allowed
}

TEST_CASE_FIXTURE(Folder, "the file can be opened again when the first store is gone") {
  CHECK_FALSE(why_not());
  CHECK_FALSE(why_not());
}

TEST_CASE_FIXTURE(Folder, "files that are no database of ours are refused and left as they are") {
  SUBCASE("empty") {
    write("outbox.db", "");
  }
  SUBCASE("text") {
    write("outbox.db", std::string(5000, 'x'));
  }
  SUBCASE("the magic and nothing else") {
    write("outbox.db", std::string("SQLite format 3\0", 16));
  }
  SUBCASE("another program's database") {
    sql("CREATE TABLE t(x); INSERT INTO t VALUES (1)");
  }
  const std::string before = read("outbox.db");
  CHECK(why_not() == StoreError::Kind::kCorrupt);
  CHECK(read("outbox.db") == before);
  CHECK_FALSE(std::filesystem::exists(options.path + "-wal"));
}

TEST_CASE_FIXTURE(Folder, "a damaged database of ours is refused and left as it is") {
  REQUIRE_FALSE(why_not());
  std::string bytes = read("outbox.db");
  SUBCASE("its end is lost") {
    bytes.resize(bytes.size() - 4096);
  }
  SUBCASE("its schema is garbage") {
    bytes.replace(100, 3900, std::string(3900, '\xee'));
  }
  SUBCASE("all but the header is garbage") {
    bytes.replace(100, bytes.size() - 100, std::string(bytes.size() - 100, '\x5a'));
  }
  write("outbox.db", bytes);
  CHECK(why_not() == StoreError::Kind::kCorrupt);
  CHECK(read("outbox.db") == bytes);
}

TEST_CASE_FIXTURE(Folder, "a database that is gone while its write-ahead log is there is not made anew") {
  write("outbox.db-wal", "accepted events");
  CHECK(why_not() == StoreError::Kind::kCorrupt);
  CHECK_FALSE(std::filesystem::exists(options.path));
  CHECK(read("outbox.db-wal") == "accepted events");
}

TEST_CASE_FIXTURE(Folder, "a newer schema is refused") {
  REQUIRE_FALSE(why_not());
  sql("PRAGMA user_version=99");
  std::string message;
  CHECK(why_not(&message) == StoreError::Kind::kNewerSchema);
  CHECK(message.find("99") != std::string::npos);
  CHECK(sqlite_schema(options).current == 99);
}

TEST_CASE_FIXTURE(Folder, "a folder that is missing is an error of its own") {
  options.path = folder / "nowhere/outbox.db";
  CHECK(why_not() == StoreError::Kind::kCannotOpen);
}

TEST_CASE_FIXTURE(Folder, "migrating makes the database, and says what it was") {
  CHECK(sqlite_schema(options).current == 0);
  CHECK_FALSE(std::filesystem::exists(options.path));
  CHECK(migrate_sqlite(options).current == 0);
  CHECK(migrate_sqlite(options).current == sqlite_schema(options).known);
  CHECK(sqlite_schema(options).current == sqlite_schema(options).known);
}

TEST_CASE_FIXTURE(Folder, "a creation that was cut short is begun anew") {
  write("outbox.db.new", "half");
  CHECK_FALSE(why_not());
  CHECK_FALSE(std::filesystem::exists(folder / "outbox.db.new"));
}

TEST_CASE_FIXTURE(Folder, "a migration that fails in its middle leaves nothing of itself") {
  REQUIRE_FALSE(why_not());
  const embedded::File files[] = {
      {"0001_outbox.sql", ""},
      {"0901_good.sql", "CREATE TABLE good (x INTEGER) STRICT;"},
      {"0902_bad.sql", "CREATE TABLE bad (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);"}};
  sqlite::Database db(options.path, sqlite::Mode::kWriter, Millis(1000), 1000);
  CHECK_THROWS_AS(sqlite::migrate(db, files), StoreError);
  CHECK(sqlite::schema_version(db) == 901);
  CHECK(db.query_int("SELECT count(*) FROM sqlite_schema WHERE name = 'good'") == 1);
  CHECK(db.query_int("SELECT count(*) FROM sqlite_schema WHERE name = 'bad'") == 0);
}

TEST_CASE("network file systems are known") {
  CHECK(sqlite::is_network_file_system(0x6969));                         // NFS
  CHECK(sqlite::is_network_file_system(static_cast<long>(0xFF534D42)));  // CIFS
  CHECK(sqlite::is_network_file_system(static_cast<int>(0xFE534D42)));   // SMB2, as a 32-bit statfs gives it
  CHECK_FALSE(sqlite::is_network_file_system(0xEF53));                   // ext4
  CHECK_FALSE(sqlite::is_network_file_system(0x01021994));               // tmpfs
}

TEST_CASE_FIXTURE(Folder, "every connection is set up for durability") {
  REQUIRE_FALSE(why_not());
  sqlite::Database db(options.path, sqlite::Mode::kWriter, Millis(1000), 1000);
  CHECK(db.query_text("PRAGMA journal_mode") == "wal");
  CHECK(db.query_int("PRAGMA synchronous") == 2);
  CHECK(db.query_int("PRAGMA wal_autocheckpoint") == 0);
  CHECK(db.query_int("PRAGMA auto_vacuum") == 2);
  CHECK(db.query_int("PRAGMA secure_delete") == 0);
  CHECK(db.query_int("PRAGMA mmap_size") == 0);
  sqlite::Database reader(options.path, sqlite::Mode::kReader, Millis(1000), 1000);
  CHECK_THROWS_AS(reader.execute("DELETE FROM event"), StoreError);
}
