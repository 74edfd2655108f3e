#include "store/postgresql/schema.h"

#include <charconv>
#include <random>
#include <string>

#include "telemetry/log.h"

namespace outboxd::postgresql {
namespace {

constexpr int kOldestServer = 130000;
constexpr const char* kSystemIdentifier = "SELECT system_identifier FROM pg_control_system()";

[[noreturn]] void refuse(const std::string& what, StoreError::Kind kind = StoreError::Kind::kCannotOpen) {
  throw StoreError(kind, what);
}

int number_of(const embedded::File& file) {
  int number = 0;
  std::from_chars(file.name.data(), file.name.data() + file.name.size(), number);
  return number;
}

// Sessions must be what they seem: outboxd holds locks by them. Behind a pooler that gives each transaction another
// session of the server, or over a server that keeps such locks by node, the same lock is granted twice.
void check_sessions(Connection& db, const ConnectionOptions& options) {
  constexpr int kTries = 20;
  const auto mine = [](Connection& session) { return session.query_int("SELECT pg_backend_pid()"); };
  std::random_device random;
  const auto key = static_cast<std::int32_t>(random() >> 1);
  // Of a table that every database has: ours are not made yet.
  const std::string lock = "'pg_class'::regclass::oid::integer, " + std::to_string(key) + ")";
  const std::int64_t first = mine(db);
  Connection other(options);
  for (int i = 0; i < kTries; ++i) {
    other.execute("BEGIN");
    const std::int64_t second = mine(other);
    other.execute("COMMIT");
    if (second == first || mine(db) != first)
      refuse(
          "the database is reached through a pooler in transaction mode, which gives each transaction"
          " another session: let the URL name PostgreSQL itself, or a pooler in session mode");
  }
  const auto granted = [&lock](Connection& session) {
    return session.query_text("SELECT pg_try_advisory_lock(" + lock) == "t";
  };
  const bool once = granted(db), twice = granted(other);
  db.execute("SELECT pg_advisory_unlock(" + lock);
  if (!once || twice)
    refuse(
        "this server grants the same advisory lock to two sessions, so two daemons would send the same"
        " events: outboxd needs PostgreSQL itself, with one primary server");
}

// Everything in one transaction, of which another daemon that opens the same database waits for the end.
void apply_one(Connection& db, const embedded::File& file) {
  const std::string number = std::to_string(number_of(file));
  try {
    // Functions remember the schema that they are made in (SET search_path FROM CURRENT).
    db.execute(
        "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '30s';"
        " SELECT set_config('search_path', quote_ident(current_schema()), true)");
    db.execute(std::string(file.text));
    if (number_of(file) == 1) {
      db.execute(
          "INSERT INTO installation (schema_version, system_identifier, made_at) SELECT 1, system_identifier,"
          " clock_millis() FROM pg_control_system()");
    } else {
      db.execute("UPDATE installation SET schema_version = " + number);
    }
    db.execute("COMMIT");
  } catch (const ConstraintViolation& violation) {
    if (db.in_transaction()) db.execute("ROLLBACK");
    refuse("the database cannot be brought to schema " + number + ": " + violation.what());
  } catch (...) {
    if (db.in_transaction() && !db.is_lost()) db.execute("ROLLBACK");
    throw;
  }
}

void check_version(int current, int newest) {
  if (current <= newest + 1) return;
  refuse("the database has schema " + std::to_string(current) + ", this outboxd can work with up to " +
             std::to_string(newest + 1) + ": run the newer outboxd",
         StoreError::Kind::kNewerSchema);
}

void check_installation(Connection& db) {
  const std::string here = db.query_text(kSystemIdentifier);
  const std::string stored = db.query_text("SELECT system_identifier FROM installation");
  if (here == stored) return;
  refuse("this database was made on another server (" + stored + ", this is " + here +
         "): a copy of it must not send what the original sends too. If the original is gone for good, run "
         "'outboxctl db adopt' first");
}

// Of statements that the role has no right to. Nothing can be wrong with the database then.
[[noreturn]] void refuse_rights(Connection& db, const ServerFailure& failure) {
  if (failure.sqlstate != "42501" || db.is_lost()) throw failure;
  const std::string role = db.query_text("SELECT quote_ident(current_user)"),
                    schema = db.query_text("SELECT quote_ident(current_schema())");
  refuse("the role " + role + " may not make tables in the schema " + schema +
         ", or those that are there belong to another role: ALTER SCHEMA " + schema + " OWNER TO " + role +
         ", or GRANT CREATE ON SCHEMA " + schema + " TO " + role + ". The server says: " + failure.what());
}

void migrate(Connection& db, std::span<const embedded::File> migrations, int before) {
  for (const auto& file : migrations) {
    if (number_of(file) <= before) continue;
    apply_one(db, file);
    if (before > 0) log::info("migrated the database", {{"to", file.name}});
  }
}

}  // namespace

int newest_version(std::span<const embedded::File> migrations) {
  return migrations.empty() ? 0 : number_of(migrations.back());
}

int schema_version(Connection& db) {
  if (db.query_text("SELECT to_regclass('installation')").empty()) return 0;
  return static_cast<int>(db.query_int("SELECT schema_version FROM installation"));
}

void check_server(Connection& db, const ConnectionOptions& options) {
  const int version = db.server_version();
  if (version < kOldestServer)
    refuse("the server is PostgreSQL " + std::to_string(version / 10000) + ": outboxd needs 13 or newer");
  if (const std::string encoding = db.query_text("SHOW server_encoding"); encoding != "UTF8")
    refuse("the database's encoding is " + encoding + ": create one WITH ENCODING 'UTF8' for outboxd");
  if (db.query_text("SELECT pg_is_in_recovery()") == "t")
    refuse(
        "the server is in recovery: it is a standby, or starts; let the URL name the primary, or all of them",
        StoreError::Kind::kBusy);
  if (db.query_text("SELECT current_schema()").empty())
    refuse(
        "there is no schema to create tables in: set search_path for outboxd's role, or create the schema"
        " that it names");
  check_sessions(db, options);
}

int check_served_here(Connection& db, std::span<const embedded::File> migrations) {
  try {
    const int version = schema_version(db);
    check_version(version, newest_version(migrations));
    if (version > 0) check_installation(db);
    return version;
  } catch (const ServerFailure& failure) {
    refuse_rights(db, failure);
  }
}

int prepare_schema(Connection& db, std::span<const embedded::File> migrations) {
  const int newest = newest_version(migrations);
  // Held by this session until the end; whoever comes second finds that there is nothing left to do.
  constexpr const char* kLock =
      "(1869968498, 0)";  // "outb", for there are no tables yet whose number could be taken
  db.execute("SET lock_timeout = '30s'; SELECT pg_advisory_lock" + std::string(kLock) +
             "; SET lock_timeout = '2s'");
  int before = 0;
  try {
    before = schema_version(db);
    check_version(before, newest);
    migrate(db, migrations, before);
    db.execute("SELECT pg_advisory_unlock" + std::string(kLock));
    check_installation(db);
  } catch (const ServerFailure& failure) {
    refuse_rights(db, failure);
  }
  if (before == 0) log::info("created the schema", {{"schema", db.query_text("SELECT current_schema()")}});
  return before;
}

}  // namespace outboxd::postgresql
