#include "store/sqlite/source_schema.h"

#include <array>
#include <cstdint>
#include <string_view>

#include "migrations/embedded.h"
#include "store/source.h"
#include "store/sqlite/schema.h"

namespace outboxd::sqlite {
namespace {

constexpr int kCacheKib = 2000;

// In the order in which they are made: whoever finds the last one finds all.
constexpr std::array<std::string_view, 8> kObjects = {
    "outbox",
    "outbox_waiting",
    "outbox_rejected",
    "outbox_row_is_final",
    "outbox_row_is_judged",
    "outbox_numbers_its_rows",
    "outbox_numbers_are_positive",
    "outbox_source",
};

// STRICT keeps these promises for every row. An application may have columns of its own behind them.
constexpr std::string_view kColumns =
    "seq INTEGER PRIMARY KEY, type TEXT NOT NULL, payload ANY NOT NULL, tenant TEXT, content_type TEXT,"
    " ordering_key TEXT, idempotency_key TEXT, deliver_at ANY, expires_at ANY, priority INTEGER, headers "
    "TEXT,"
    " traceparent TEXT, rejected TEXT, rejected_at INTEGER";

constexpr std::string_view kHead =
    R"(-- The outbox that outboxd relays from this database ([[source]] in its configuration), version 1. Needs SQLite 3.38 or
-- newer. Run it in one transaction, as a migration of yours; to run it again does no harm, and brings an older one up to date.
-- From then on, in your own transactions:
--   INSERT INTO outbox(type, payload) VALUES ('order.paid', '{"id":42}');
-- outboxd deletes what it has relayed, and sets `rejected` and `rejected_at` where a row cannot become an event. When its
-- reason no longer holds: UPDATE outbox SET rejected = NULL WHERE seq = …;

)";

// A row's number is how the relay knows what it has relayed, so none may be used twice. SQLite gives -1 for a number
// that it has still to choose; the second trigger is for whoever writes that.
constexpr std::string_view kTail = R"(DROP TRIGGER IF EXISTS outbox_numbers_its_rows;
CREATE TRIGGER outbox_numbers_its_rows
BEFORE INSERT ON outbox
WHEN NEW.seq <> -1
BEGIN
  SELECT RAISE(ABORT, 'seq: outbox numbers its rows itself; leave it out');
END;

DROP TRIGGER IF EXISTS outbox_numbers_are_positive;
CREATE TRIGGER outbox_numbers_are_positive
AFTER INSERT ON outbox
WHEN NEW.seq < 1
BEGIN
  SELECT RAISE(ABORT, 'seq: outbox numbers its rows itself; leave it out');
END;

-- Tells outboxd that this database is meant for it, and this one from any other.
CREATE TABLE IF NOT EXISTS outbox_source (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  version INTEGER NOT NULL,
  database BLOB NOT NULL
) STRICT;
INSERT INTO outbox_source (one, version, database) VALUES (1, 1, randomblob(16))
ON CONFLICT (one) DO UPDATE SET version = max(version, excluded.version);
)";

// "CREATE TABLE outbox (…" as a statement that may be run again.
std::string repeatable(std::string_view sql, std::string_view type, std::string_view name) {
  std::string text;
  if (type == "trigger") return text.append("DROP TRIGGER IF EXISTS ").append(name).append(";\n").append(sql);
  const std::size_t create = sql.find(' ', sql.find(' ') + 1);  // after "CREATE TABLE"
  return text.append(sql.substr(0, create)).append(" IF NOT EXISTS").append(sql.substr(create));
}

bool has(Database& db, std::string_view name) {
  Statement find(db, "SELECT 1 FROM sqlite_schema WHERE name = ?1 AND type <> 'view'");
  Cursor row(find, name);
  return row.next();
}

}  // namespace

// From our own schema, so that both outboxes always judge alike.
std::string source_ddl() {
  Database db(std::string(":memory:"), Mode::kWriter, Millis(0), kCacheKib);
  migrate(db, embedded::sqlite_migrations());
  Statement objects(db,
                    "SELECT sql, type, name FROM sqlite_schema WHERE tbl_name = 'outbox' AND sql IS NOT NULL"
                    " ORDER BY type = 'trigger', rowid");
  std::string ddl(kHead);
  Cursor row(objects);
  while (row.next()) ddl.append(repeatable(row.view(0), row.view(1), row.view(2))).append(";\n\n");
  return ddl.append(kTail);
}

void check_source_schema(Database& db, const std::string& path) {
  const std::string remedy = ": outboxctl source ddl | sqlite3 " + path;
  if (db.query_int("PRAGMA application_id") == kApplicationId)
    throw SourceFailure(path + " is the database of an outboxd; name the application's own file");
  if (!has(db, "outbox_source")) throw SourceFailure(path + " has no table outbox_source" + remedy);
  for (const std::string_view name : kObjects) {
    if (!has(db, name)) throw SourceFailure(path + " lacks " + std::string(name) + remedy);
  }
  const std::string columns = db.query_text(
      "SELECT group_concat(name || ' ' || type || iif(pk, ' PRIMARY KEY', '') || iif(\"notnull\", ' NOT "
      "NULL', ''), ', ')"
      " FROM pragma_table_info('outbox')");
  if (db.query_int("SELECT strict FROM pragma_table_list('outbox') WHERE schema = 'main'") == 0 ||
      !columns.starts_with(kColumns))
    throw SourceFailure(path + " has a table outbox that is not outboxd's: rename it, then" +
                        remedy.substr(1));
  Statement find(db, "SELECT version FROM outbox_source WHERE one = 1 AND length(database) = 16");
  Cursor row(find);
  if (!row.next()) throw SourceFailure(path + " has no row in outbox_source" + remedy);
  if (row.integer(0) > kSourceVersion) {
    throw SourceFailure(path + " has version " + std::to_string(row.integer(0)) +
                        " of the outbox, and this outboxd knows up to " + std::to_string(kSourceVersion) +
                        ": run a newer outboxd");
  }
}

}  // namespace outboxd::sqlite
