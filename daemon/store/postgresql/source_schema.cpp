#include "store/postgresql/source_schema.h"

#include <array>
#include <string_view>

#include "migrations/embedded.h"
#include "store/source.h"

namespace outboxd::postgresql {
namespace {

constexpr std::string_view kHead =
    R"(-- The outbox that outboxd relays from this database ([[source]] in its configuration), version 1. Needs PostgreSQL 13 or
-- newer. Run it in one transaction, as a migration of yours; to run it again does no harm, and brings an older one up to date.
-- From then on, in your own transactions:
--   INSERT INTO outbox(type, payload) VALUES ('order.paid', '{"id": 42}');
-- Whoever inserts needs the right to INSERT into outbox, and nothing else. outboxd's role, if it does not own the tables:
--   GRANT SELECT, DELETE, UPDATE (rejected, rejected_at) ON outbox TO outboxd;
--   GRANT SELECT ON outbox_source TO outboxd;
--   GRANT SELECT, INSERT, UPDATE, DELETE ON outbox_taken TO outboxd;
-- outboxd deletes what it has relayed, and sets `rejected` and `rejected_at` where a row cannot become an event. When its
-- reason no longer holds: UPDATE outbox SET rejected = NULL WHERE seq = …;

)";

// The numbers of `outbox_taken` and the identity of the database are how the relay knows what it has relayed.
constexpr std::string_view kTail = R"(
-- Tells outboxd that this database is meant for it, and this one from any other.
CREATE TABLE IF NOT EXISTS outbox_source (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  version integer NOT NULL,
  database uuid NOT NULL
);
INSERT INTO outbox_source (version, database) VALUES (1, gen_random_uuid())
ON CONFLICT (one) DO UPDATE SET version = greatest(outbox_source.version, excluded.version);

-- What outboxd has taken to relay it, some rows of outbox at a time. The newest of these stays, so that no number is given twice.
CREATE TABLE IF NOT EXISTS outbox_taken (
  first bigint PRIMARY KEY,  -- the relay's number of the first of these rows; the next one has the next
  rows bigint NOT NULL,
  seqs bigint[] NOT NULL     -- their seq in outbox; NULL for one that was rejected
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0,
        vacuum_truncate = off);
)";

// How our own migrations make something, and how it is made if it is not there yet.
struct Repeatable {
  std::string_view create, again;
};
constexpr std::array kRepeatable{Repeatable{"CREATE TABLE ", "CREATE TABLE IF NOT EXISTS "},
                                 Repeatable{"CREATE INDEX ", "CREATE INDEX IF NOT EXISTS "},
                                 Repeatable{"CREATE FUNCTION ", "CREATE OR REPLACE FUNCTION "}};

// Functions remember the schema that they are made in (SET search_path FROM CURRENT).
constexpr std::string_view kOnlyThisSchema =
    "DO $$ BEGIN PERFORM set_config('search_path', quote_ident(current_schema()), true); END $$;\n\n";

// One line of our own migrations, as it may be run again.
std::string repeatable(std::string_view line) {
  for (const auto& [create, again] : kRepeatable) {
    if (line.starts_with(create)) return std::string(again).append(line.substr(create.size()));
  }
  constexpr std::string_view kTrigger = "CREATE TRIGGER ";
  if (!line.starts_with(kTrigger)) return std::string(line);
  const std::string_view name =
      line.substr(kTrigger.size(), line.find_first_of(" \n", kTrigger.size()) - kTrigger.size());
  return std::string("DROP TRIGGER IF EXISTS ").append(name).append(" ON outbox;\n").append(line);
}

std::string repeatable_lines(std::string_view sql) {
  std::string all;
  while (!sql.empty()) {
    const std::size_t end = std::min(sql.find('\n'), sql.size() - 1) + 1;
    all += repeatable(sql.substr(0, end));
    sql.remove_prefix(end);
  }
  return all;
}

// The table and its indexes; they are the last of the first migration. The second one is all about their rules.
std::string_view table_of(std::string_view migration) {
  const std::size_t table = migration.find("CREATE TABLE outbox (");
  return table == std::string_view::npos ? std::string_view() : migration.substr(table);
}

[[noreturn]] void refuse(const std::string& what) {
  throw SourceFailure(what);
}

constexpr const char* kRemedy = ": outboxctl source ddl --postgresql | psql -q -1 URL";

// An application may have columns of its own behind them.
constexpr std::string_view kColumns =
    "seq bigint NOT NULL, type text NOT NULL, payload json, payload_bytes bytea, tenant text, content_type "
    "text, ordering_key text, idempotency_key text, deliver_at text, expires_at text, priority integer, "
    "headers json, traceparent text, rejected text, rejected_at bigint";

struct Object {
  const char *name, *is_there;
};
constexpr std::array kObjects{
    Object{"outbox", "SELECT to_regclass('outbox')"},
    Object{"outbox_waiting", "SELECT to_regclass('outbox_waiting')"},
    Object{"outbox_rejected", "SELECT to_regclass('outbox_rejected')"},
    Object{"outbox_taken", "SELECT to_regclass('outbox_taken')"},
    Object{"outbox_row_is_judged",
           "SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass('outbox') AND tgname = "
           "'outbox_row_is_judged'"},
    Object{"outbox_row_is_final",
           "SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass('outbox') AND tgname = "
           "'outbox_row_is_final'"}};

struct Right {
  const char* on;
  std::array<const char*, 4> rights;
};
constexpr std::array kRights{Right{"outbox", {"SELECT", "DELETE"}}, Right{"outbox_source", {"SELECT"}},
                             Right{"outbox_taken", {"SELECT", "INSERT", "UPDATE", "DELETE"}}};

void check_rights(Connection& db) {
  for (const auto& [on, rights] : kRights) {
    for (const char* const right : rights) {
      if (right == nullptr) continue;
      const std::string granted = db.query_text(
          std::string("SELECT has_table_privilege('").append(on).append("', '").append(right).append("')"));
      if (granted != "t")
        refuse("outboxd's role may not " + std::string(right) + " in " + on +
               ": grant it (outboxctl source ddl --postgresql shows the statements)");
    }
  }
  if (db.query_text("SELECT has_column_privilege('outbox', 'rejected', 'UPDATE') AND "
                    "has_column_privilege('outbox', 'rejected_at', 'UPDATE')") != "t")
    refuse(
        "outboxd's role may not UPDATE rejected and rejected_at in outbox: grant it (outboxctl source ddl "
        "--postgresql shows the statements)");
}

}  // namespace

// From our own schema, so that both outboxes always judge alike.
std::string source_ddl() {
  std::string ddl(kHead);
  ddl += kOnlyThisSchema;
  const auto migrations = embedded::postgresql_migrations();
  if (migrations.size() >= 2) {
    ddl += repeatable_lines(table_of(migrations[0].text));
    ddl += repeatable_lines(migrations[1].text);
  }
  return ddl.append(kTail);
}

void check_source_schema(Connection& db) {
  if (db.query_text("SELECT to_regclass('outbox_source')").empty())
    refuse("the database has no table outbox_source" + std::string(kRemedy));
  // Both were found by the same search_path; `installation` beside them makes it a database of ours.
  if (!db.query_text("SELECT 1 FROM pg_class AS mine JOIN pg_class AS other USING (relnamespace) WHERE "
                     "mine.oid = to_regclass('outbox') AND other.relname = 'installation'")
           .empty())
    refuse(
        "this is the database of an outboxd; name the application's own database, or another schema of it");
  for (const auto& [name, is_there] : kObjects) {
    if (db.query_text(is_there).empty()) refuse("the database lacks " + std::string(name) + kRemedy);
  }
  const std::string columns = db.query_text(
      "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN "
      "' NOT NULL' ELSE '' END, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = "
      "to_regclass('outbox') AND attnum > 0 AND NOT attisdropped");
  if (!columns.starts_with(kColumns))
    refuse("the table outbox there is not outboxd's: rename it, then" + std::string(kRemedy).substr(1));
  check_rights(db);
  const std::string version = db.query_text("SELECT version FROM outbox_source");
  if (version.empty()) refuse("the database has no row in outbox_source" + std::string(kRemedy));
  if (const auto its = db.query_int("SELECT version FROM outbox_source"); its > kSourceVersion)
    refuse("the database has version " + std::to_string(its) +
           " of the outbox, and this outboxd knows up to " + std::to_string(kSourceVersion) +
           ": run a newer outboxd");
}

}  // namespace outboxd::postgresql
