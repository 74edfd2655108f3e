// Asks SQLite how it would run each statement of the store: an index range or a key, never a scan, never a
// sort of what it read.
#include <doctest/doctest.h>

#include <memory>
#include <set>
#include <vector>

#include "common/clock.h"
#include "store/sqlite/file_lock.h"
#include "store/sqlite/foreign_commits.h"
#include "store/sqlite/reader.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/writer.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::sqlite;

namespace {

struct Plans {
  test::TemporaryFolder folder;
  std::unique_ptr<Database> db;
  Plans() {
    create_file(folder / "outbox.db", embedded::sqlite_migrations());
    db = std::make_unique<Database>(folder / "outbox.db", Mode::kWriter, Millis(1000), 1000);
  }
  std::vector<std::string> of(std::string_view sql) {
    Statement explain(*db, "EXPLAIN QUERY PLAN " + std::string(sql));
    Cursor row(explain);
    std::vector<std::string> steps;
    while (row.next()) steps.push_back(row.text(3));
    return steps;
  }
};

std::vector<sqlite3*> opened;  // by ConnectionsOpened

// Notes every connection that is opened in its life.
struct ConnectionsOpened {
  ConnectionsOpened() {
    opened.clear();
    sqlite3_auto_extension(entry());
  }
  ~ConnectionsOpened() { sqlite3_cancel_auto_extension(entry()); }

 private:
  using Entry = void (*)();
  static int note(sqlite3* db, char**, const void*) {
    opened.push_back(db);
    return SQLITE_OK;
  }
  static Entry entry() { return reinterpret_cast<Entry>(note); }
};

// Everything that the daemon keeps prepared, asked of SQLite itself: no list could forget one.
std::set<std::string> prepared_by_the_daemon(const std::string& path) {
  const SystemClock clock;
  const FileLock lock(path);
  const auto shared = std::make_shared<Shared>(clock, DueClock::State{});
  const ConnectionsOpened connections;
  const Writer writer({.location = path, .owner = {}, .secrets = {}}, *shared);
  const Reader reader(path, Millis(1000), 1000, shared, {}, {});
  const ForeignCommits foreign_commits(path, Millis(1000), shared->foreign);
  std::set<std::string> statements;
  for (sqlite3* db : opened) {
    for (sqlite3_stmt* s = sqlite3_next_stmt(db, nullptr); s != nullptr; s = sqlite3_next_stmt(db, s))
      statements.insert(sqlite3_sql(s));
  }
  return statements;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

}  // namespace

TEST_CASE_FIXTURE(Plans, "no statement scans a table or sorts what it read") {
  auto statements = prepared_by_the_daemon(folder / "outbox.db");
  REQUIRE(statements.contains(std::string(sql::kInsertDelivery)));
  REQUIRE(statements.contains(std::string(sql::kDueOfPriority)));
  REQUIRE(statements.contains(std::string(sql::kOutboxHasWaiting)));
  // Prepared where they are run.
  statements.insert({std::string(sql::kLastUnchecked), std::string(sql::kWholeEventsAfter)});
  for (const std::string& sql : statements) {
    CAPTURE(sql);
    for (const std::string& step : of(sql)) {
      CAPTURE(step);
      // These have a LIMIT and an index that holds, in the order wanted, only the rows wanted; the subquery
      // is of such rows.
      const bool bounded = has(step, "INDEX outbox_waiting") || has(step, "INDEX outbox_rejected") ||
                           has(step, "INDEX endpoint_discarding") || has(step, "(subquery") ||
                           has(step, " CONSTANT ROW");
      CHECK((!has(step, "SCAN") || bounded));
      CHECK_FALSE(has(step, "TEMP B-TREE"));
      CHECK_FALSE(has(step, "AUTOMATIC"));
    }
  }
}

TEST_CASE_FIXTURE(Plans, "the delivery loop reads ranges of the index of what is pending") {
  // The range each has to be. (Whether an index covers a statement differs between versions of SQLite.)
  const auto first_step = [this](std::string_view sql) { return of(sql).at(0); };
  CHECK(has(first_step(sql::kNextPriority), "INDEX delivery_pending (endpoint=? AND priority<?)"));
  CHECK(has(first_step(sql::kDueOfPriority),
            "INDEX delivery_pending (endpoint=? AND priority=? AND due_at<?)"));
  CHECK(of(sql::kDueOfPriority).at(1) == "SEARCH e USING INTEGER PRIMARY KEY (rowid=?)");
  CHECK(has(first_step(sql::kFirstDueAfter),
            "INDEX delivery_pending (endpoint=? AND priority=? AND due_at>?)"));
  CHECK(first_step(sql::kMovePending) == "SEARCH delivery USING PRIMARY KEY (event=? AND endpoint=?)");
  CHECK(has(of(sql::kCountDue).at(1), "INDEX delivery_pending (endpoint=? AND priority=? AND due_at<?)"));
  CHECK(has(first_step(sql::kFirstInOrder),
            "INDEX delivery_in_order (endpoint=? AND order_key=? AND event>?)"));
  CHECK(has(first_step(sql::kInOrderOfEndpointFrom),
            "INDEX delivery_in_order (endpoint=? AND (order_key,event)>(?,?))"));
  CHECK(has(first_step(sql::kExpiredAfter),
            "INDEX delivery_expiring ((expires_at,event,endpoint)>(?,?,?) AND expires_at<?)"));
  CHECK(has(first_step(sql::kNextPendingEndpoint), "INDEX delivery_pending (endpoint>?)"));
  CHECK(has(first_step(sql::kNextEndpointBlocked), "INDEX delivery_behind (endpoint>?)"));
  CHECK(has(first_step(sql::kDeadBefore), "INDEX delivery_dead ((event,endpoint)<(?,?))"));
  CHECK(has(first_step(sql::kUnmatchedBefore), "INDEX event_unmatched (seq<?)"));
  CHECK(has(first_step(sql::kEventTypesAfter), "PRIMARY KEY ((tenant,type)>(?,?))"));
  CHECK(has(first_step(sql::kDeliveriesAfter), "PRIMARY KEY ((event,endpoint)>(?,?) AND event<?)"));
  CHECK(has(first_step(sql::kDeadOfEndpointAfter),
            "INDEX delivery_dead_by_endpoint (endpoint=? AND event>? AND event<?)"));
  CHECK(has(first_step(sql::kDeadOfEndpointBefore),
            "INDEX delivery_dead_by_endpoint (endpoint=? AND event<?)"));
}
