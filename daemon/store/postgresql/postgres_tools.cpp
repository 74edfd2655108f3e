#include "store/postgresql/postgres_tools.h"

#include "migrations/embedded.h"
#include "store/postgresql/database_check.h"
#include "store/postgresql/first_connection.h"
#include "store/postgresql/operator_session.h"
#include "store/postgresql/schema.h"

namespace outboxd {
namespace {

using postgresql::Connection;

int known_schema() {
  return postgresql::newest_version(embedded::postgresql_migrations());
}

// Of something older or newer than what the checks know, nothing can be said.
void require_schema(Connection& db) {
  const int current = postgresql::schema_version(db);
  if (current == known_schema()) return;
  throw StoreError(StoreError::Kind::kCannotOpen,
                   "the database has " + (current == 0 ? "no schema" : "schema " + std::to_string(current)) +
                       ", this program knows " + std::to_string(known_schema()));
}

}  // namespace

PostgresSchema postgres_schema(const PostgresOptions& options) {
  Connection db = postgresql::first_connection(postgresql::operator_session(options.url));
  return {postgresql::schema_version(db), known_schema()};
}

PostgresSchema migrate_postgres(const PostgresOptions& options) {
  Connection db = postgresql::first_connection(postgresql::operator_session(options.url));
  postgresql::check_server(db, postgresql::operator_session(options.url));
  return {postgresql::prepare_schema(db, embedded::postgresql_migrations()), known_schema()};
}

std::string examine_postgres(const PostgresOptions& options) {
  const auto session = postgresql::operator_session(options.url);
  Connection db = postgresql::first_connection(session);
  postgresql::check_server(db, session);
  const int schema = postgresql::check_served_here(db, embedded::postgresql_migrations());
  return "PostgreSQL " + db.query_text("SHOW server_version") +
         (schema == 0 ? ", no schema yet" : ", schema " + std::to_string(schema));
}

std::vector<std::string> check_postgres(const PostgresOptions& options, bool quick) {
  Connection db = postgresql::first_connection(postgresql::operator_session(options.url));
  require_schema(db);
  postgresql::plan_for_whole_tables(db);
  return postgresql::check_database(db, quick);
}

bool adopt_postgres(const PostgresOptions& options) {
  Connection db = postgresql::first_connection(postgresql::operator_session(options.url));
  require_schema(db);
  const std::string changed = db.query_text(
      "WITH here AS (SELECT system_identifier::text AS id FROM pg_control_system()) UPDATE installation SET "
      "system_identifier = here.id FROM here WHERE system_identifier <> here.id RETURNING 1");
  return !changed.empty();
}

}  // namespace outboxd
