// An application's own SQLite file as a source: what makes it one, what is refused, and what is done to it.
#include "store/sqlite/source_file.h"

#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "common/text.h"
#include "store/sqlite/source_schema.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

constexpr std::int64_t kBeforeAll = std::numeric_limits<std::int64_t>::min();

// The application.
class Application {
 public:
  explicit Application(const std::string& path) {
    REQUIRE(sqlite3_open(path.c_str(), &db_) == SQLITE_OK);
    sqlite3_busy_timeout(db_, 2000);
  }
  ~Application() { sqlite3_close(db_); }
  Application(const Application&) = delete;

  std::string error(const std::string& sql) {  // "": none
    char* message = nullptr;
    sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, &message);
    std::string text = message == nullptr ? "" : message;
    sqlite3_free(message);
    return text;
  }
  void run(const std::string& sql) { CHECK(error(sql) == ""); }
  std::string text(const std::string& sql) {
    std::string found;
    const auto take = [](void* out, int count, char** values, char**) {
      for (int i = 0; i < count; ++i) {
        auto& all = *static_cast<std::string*>(out);
        all += (all.empty() ? "" : " ") + std::string(values[i] == nullptr ? "NULL" : values[i]);
      }
      return 0;
    };
    CHECK(sqlite3_exec(db_, sql.c_str(), take, &found, nullptr) == SQLITE_OK);
    return found;
  }

 private:
  sqlite3* db_ = nullptr;
};

struct Shop {
  TemporaryFolder folder;
  const std::string path = folder / "app.db";
  std::optional<Application> application;
  explicit Shop(const std::string& journal_mode = "wal") {
    application.emplace(path);
    application->text("PRAGMA journal_mode=" + journal_mode);
    application->run(source_file_ddl());
  }
  std::unique_ptr<Source> open() { return open_source_file({.path = path}); }
  std::string why_not() {
    try {
      open();
      return "";
    } catch (const SourceFailure& failure) {
      return failure.what();
    }
  }
  void insert(const std::string& payload) {
    application->run("INSERT INTO outbox(type, payload) VALUES ('order.paid', '" + payload + "')");
  }
};

std::vector<std::string> payloads(const SourceRows& found) {
  std::vector<std::string> all;
  for (const SourceRow& one : found.rows) all.push_back(one.row.payload);
  return all;
}

using Payloads = std::vector<std::string>;
const char* const kModes[] = {"wal", "delete", "truncate", "persist"};

}  // namespace

TEST_CASE("the DDL can be run again, and keeps the rows and the identity of the database") {
  Shop shop;
  shop.insert("1");
  const std::string identity = shop.application->text("SELECT version, hex(database) FROM outbox_source");
  CHECK(identity.starts_with("1 "));
  CHECK(identity.size() == 34);
  shop.application->run(source_file_ddl());
  CHECK(shop.application->text("SELECT version, hex(database) FROM outbox_source") == identity);
  CHECK(shop.application->text("SELECT count(*) FROM outbox") == "1");
  const Shop other;
  CHECK(Application(other.path).text("SELECT version, hex(database) FROM outbox_source") != identity);
}

TEST_CASE("the text of the DDL is that of its version") {
  // It comes from the migrations: one that changes `outbox` changes it too. Then raise kSourceVersion and the version in the
  // text, and see to it that the DDL brings the table of an older version up to date.
  const std::string ddl = source_file_ddl();
  CHECK(hex_encode(sha256(ddl.substr(ddl.find("CREATE TABLE")))) ==
        "fd9316564eb8709bc0aa86cd7f4d761c6a0b50f3e68cc09d7548ede4f62683a6");
  CHECK(ddl.find("version " + std::to_string(sqlite::kSourceVersion) + ".") < ddl.find("CREATE TABLE"));
  CHECK(Shop().application->text("SELECT version FROM outbox_source") ==
        std::to_string(sqlite::kSourceVersion));
}

TEST_CASE("the DDL mends triggers and never takes a newer version back") {
  Shop shop;
  shop.application->run("DROP TRIGGER outbox_row_is_judged; UPDATE outbox_source SET version = 7");
  shop.application->run(source_file_ddl());
  CHECK(shop.application->text("SELECT version FROM outbox_source") == "7");
  CHECK(shop.application->error("INSERT INTO outbox(type, payload) VALUES ('a', 'hello')")
            .starts_with("payload: "));
}

TEST_CASE("the application's outbox judges rows as ours does, and gives the numbers itself") {
  Shop shop;
  for (const char* number : {"1", "5", "9223372036854775807", "0", "-1", "-7"}) {
    INFO(number);
    CHECK(shop.application->error("INSERT INTO outbox(seq, type, payload) VALUES (" + std::string(number) +
                                  ", 'a', '1')") == "seq: outbox numbers its rows itself; leave it out");
  }
  shop.application->run("INSERT INTO outbox(seq, type, payload) VALUES (NULL, 'a', '1')");
  shop.application->run("INSERT INTO outbox(type, payload) VALUES ('a', '1'), ('a', '2')");
  shop.application->run(
      "CREATE TABLE t (x); CREATE TRIGGER of_application AFTER INSERT ON t BEGIN"
      " INSERT INTO outbox(type, payload) VALUES ('a', NEW.x); END;"
      "INSERT INTO t VALUES ('3'), ('4')");
  CHECK(shop.application->text("SELECT seq FROM outbox") == "1 2 3 4 5");
  CHECK(shop.application->error("UPDATE outbox SET seq = 9 WHERE seq = 1") != "");
  CHECK(
      shop.application->error("INSERT INTO outbox(type, payload) VALUES ('a b', '1')").starts_with("type: "));
}

TEST_CASE("rows are read in order, in small pieces, and deleted") {
  for (const char* mode : kModes) {
    CAPTURE(mode);
    Shop shop(mode);
    for (const char* payload : {"1", "2", "3"}) shop.insert(payload);
    const auto source = shop.open();
    const SourceRows all = source->read(kBeforeAll, 10, 1 << 20);
    CHECK(payloads(all) == Payloads{"1", "2", "3"});
    CHECK(all.last == 3);
    CHECK(all.database.size() == 32);
    CHECK(payloads(source->read(kBeforeAll, 2, 1 << 20)) == Payloads{"1", "2"});
    CHECK(payloads(source->read(1, 10, 1)) == Payloads{"2"});
    const SourceCleared some = source->clear(0, 3, 2);
    CHECK(some.rows == 2);
    CHECK(some.up_to == 2);
    const SourceCleared rest = source->clear(2, 3, 2);
    CHECK(rest.rows == 1);
    CHECK(rest.up_to == 3);
    CHECK(source->clear(3, 7, 2).up_to == 7);
    CHECK(shop.application->text("SELECT count(*) FROM outbox") == "0");
    CHECK(source->read(kBeforeAll, 10, 1 << 20).last == 3);
    CHECK(shop.application->text("PRAGMA integrity_check") == "ok");
  }
}

TEST_CASE("reading ends before a rejected row, and says when there was one") {
  Shop shop;
  for (const char* payload : {"1", "2", "3", "4"}) shop.insert(payload);
  const auto source = shop.open();
  source->reject({{2, "it is bad"}}, kNow);
  CHECK(shop.application->text("SELECT rejected, rejected_at FROM outbox WHERE seq = 2") ==
        "it is bad " + std::to_string(unix_millis(kNow)));
  CHECK(payloads(source->read(kBeforeAll, 10, 1 << 20)) == Payloads{"1"});
  const SourceRows after = source->read(1, 10, 1 << 20);
  CHECK(after.after_rejected);
  CHECK(payloads(after) == Payloads{"3", "4"});
  CHECK_FALSE(source->read(2, 10, 1 << 20).after_rejected);
  CHECK(source->counts(10).rejected == 1);
  CHECK(source->counts(10).waiting == 3);
  CHECK(source->counts(2).waiting == 2);
}

TEST_CASE("a row that is too large is not read") {
  Shop shop;
  shop.application->run(
      "INSERT INTO outbox(type, payload) VALUES ('a', json_quote(printf('%.100000c', 'x')))");
  shop.insert("2");
  const auto source = open_source_file({.path = shop.path, .max_row_bytes = 50'000});
  const SourceRows found = source->read(kBeforeAll, 10, 1 << 20);
  REQUIRE(found.rows.size() == 2);
  CHECK(found.rows[0].unreadable != "");
  CHECK(found.rows[0].row.row == 1);
  CHECK(found.rows[1].row.payload == "2");
  source->reject({{1, found.rows[0].unreadable}}, kNow);
  CHECK(source->counts(10).rejected == 1);
}

TEST_CASE("a file that is no source says what to do") {
  Shop shop;
  const auto says = [&](const std::string& words) {
    INFO(words);
    const std::string why = shop.why_not();
    INFO(why);
    CHECK(why.find(words) != std::string::npos);
  };
  CHECK(shop.why_not() == "");
  shop.application->run("UPDATE outbox_source SET version = 2");
  says("run a newer outboxd");
  shop.application->run("DROP TRIGGER outbox_numbers_its_rows");
  says("lacks outbox_numbers_its_rows: outboxctl source ddl");
  shop.application->run("DROP TABLE outbox_source");
  says("has no table outbox_source: outboxctl source ddl");
  shop.application->run(
      "DROP TABLE outbox; CREATE TABLE outbox (seq INTEGER PRIMARY KEY, type, payload, rejected)");
  shop.application->error(source_file_ddl());
  CHECK(shop.why_not() != "");
  shop.application->run("PRAGMA application_id=1329748036");
  says("database of an outboxd");
  shop.application.reset();
  std::filesystem::remove(shop.path);
  says("cannot be found");
  std::ofstream(shop.path) << std::string(4096, 'x');
  says("not an SQLite database");
  std::filesystem::remove(shop.path);
  std::filesystem::create_directory(shop.path);
  says("not a regular file");
}

TEST_CASE("a table with other columns is refused; columns of the application's own behind them are not") {
  const auto why_not = [](const std::string& column, const std::string& other) {
    Shop shop;
    std::string sql = shop.application->text("SELECT sql FROM sqlite_schema WHERE name = 'outbox'");
    sql.replace(sql.find(column), column.size(), other);
    const std::string rest = shop.application->text(
        "SELECT group_concat(sql, '; ') FROM sqlite_schema WHERE tbl_name = 'outbox' AND type <> 'table'");
    shop.application->run("DROP TABLE outbox; " + sql + "; " + rest);
    return shop.why_not();
  };
  CHECK(why_not("tenant TEXT", "tenant TEXT") == "");
  for (const auto& change :
       {std::pair("priority INTEGER", "priority ANY"), std::pair("type TEXT NOT NULL", "type TEXT"),
        std::pair("tenant TEXT", "tenant BLOB"),
        std::pair("seq INTEGER PRIMARY KEY AUTOINCREMENT", "seq INTEGER")}) {
    CAPTURE(change.first);
    CHECK(why_not(change.first, change.second).find("a table outbox that is not outboxd's") !=
          std::string::npos);
  }
  Shop shop;
  shop.application->run("ALTER TABLE outbox ADD COLUMN own TEXT");
  CHECK(shop.why_not() == "");
}

TEST_CASE("a row is read whatever its number is") {
  Shop shop;
  shop.application->run(
      "DROP TRIGGER outbox_numbers_its_rows; DROP TRIGGER outbox_numbers_are_positive;"
      "INSERT INTO outbox(seq, type, payload) VALUES (-9223372036854775807 - 1, 'a', '1'),"
      " (-1, 'a', '2'), (0, 'a', '3'), (9223372036854775807, 'a', '4');" +
      source_file_ddl());
  const auto source = shop.open();
  CHECK(payloads(source->read(kBeforeAll, 10, 1 << 20)) == Payloads{"1", "2", "3", "4"});
  CHECK(payloads(source->read(kBeforeAll + 1, 10, 1 << 20)) == Payloads{"2", "3", "4"});
  CHECK(payloads(source->read(0, 10, 1 << 20)) == Payloads{"4"});
  CHECK(source->read(std::numeric_limits<std::int64_t>::max(), 10, 1 << 20).rows.empty());
}

TEST_CASE("a file that was removed or replaced is noticed") {
  Shop shop;
  const auto source = shop.open();
  CHECK_NOTHROW(source->check());
  std::filesystem::rename(shop.path, shop.folder / "old.db");
  CHECK_THROWS_AS(source->check(), SourceFailure);
}

TEST_CASE(
    "a lock of the application is told from a failure, and reading goes on beside a writer in WAL mode") {
  Shop shop;
  shop.insert("1");
  const auto source = shop.open();
  shop.application->run("BEGIN IMMEDIATE; INSERT INTO outbox(type, payload) VALUES ('a', '2')");
  CHECK(payloads(source->read(kBeforeAll, 10, 1 << 20)) == Payloads{"1"});
  CHECK_THROWS_AS(source->clear(0, 1, 10), SourceBusy);
  shop.application->run("COMMIT");
  CHECK(source->clear(0, 1, 10).rows == 1);
}

TEST_CASE("a commit of the application ends a wait; one of the relay's own does not") {
  for (const char* mode : kModes) {
    CAPTURE(mode);
    Shop shop(mode);
    shop.insert("1");
    const auto source = shop.open();
    source->read(kBeforeAll, 10, 1 << 20);
    source->clear(0, 1, 10);
    const auto begin = std::chrono::steady_clock::now();
    source->wait(Millis(100));
    CHECK(std::chrono::steady_clock::now() - begin >= Millis(99));
    shop.insert("2");
    source->wait(std::chrono::minutes(10));
    CHECK(payloads(source->read(kBeforeAll, 10, 1 << 20)) == Payloads{"2"});
  }
}

TEST_CASE(
    "the journal that a crash of the application left is played back, and nothing else is opened through "
    "it") {
  Shop shop("delete");
  shop.insert("1");
  // As after a crash in the middle of a commit.
  shop.application->run(
      "PRAGMA cache_spill=1; PRAGMA cache_size=1; BEGIN; UPDATE outbox SET rejected = 'half done';"
      "CREATE TABLE large AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
      " SELECT i, randomblob(300) AS b FROM n");
  const std::string copy = shop.folder / "copy.db";
  std::filesystem::copy_file(shop.path, copy);
  std::filesystem::copy_file(shop.path + "-journal", copy + "-journal");
  CHECK(payloads(open_source_file({.path = copy})->read(kBeforeAll, 10, 1 << 20)) == Payloads{"1"});
  CHECK_FALSE(std::filesystem::exists(copy + "-journal"));
  CHECK(Application(copy).text("PRAGMA integrity_check") == "ok");

  shop.application->run("ROLLBACK");
  REQUIRE(mkfifo((copy + "-journal").c_str(), 0600) == 0);
  CHECK(payloads(open_source_file({.path = copy})->read(kBeforeAll, 10, 1 << 20)) == Payloads{"1"});
}

TEST_CASE("the check of a file changes nothing and counts what is there") {
  Shop shop("delete");
  shop.insert("1");
  shop.open()->reject({{1, "bad"}}, kNow);
  const SourceFileReport found = check_source_file(shop.path);
  CHECK(found.problem == "");
  CHECK(found.journal_mode == "delete");
  CHECK(found.counts.rejected == 1);
  CHECK(check_source_file(shop.folder / "none.db").problem.find("cannot be found") != std::string::npos);
}
