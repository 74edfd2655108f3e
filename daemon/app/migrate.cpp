#include "app/migrate.h"

#include <iostream>
#include <string>

#include "store/sqlite/sqlite_store.h"
#ifdef OUTBOXD_POSTGRESQL
#include "store/postgresql/postgres_tools.h"
#endif

namespace outboxd {
namespace {

template <class Schema>
int tell(const std::string& database, const Schema& schema) {
  std::cout << database << ": ";
  if (schema.current == 0) {
    std::cout << "created with schema " << schema.known << '\n';
  } else if (schema.current == schema.known) {
    std::cout << "schema " << schema.known << " already\n";
  } else {
    std::cout << "migrated from schema " << schema.current << " to " << schema.known << '\n';
  }
  return 0;
}

}  // namespace

int migrate(const config::Config& config) {
  if (config.store.is_sqlite()) {
    SqliteOptions options;
    options.path = config.store.path();
    return tell(options.path, migrate_sqlite(options));
  }
#ifdef OUTBOXD_POSTGRESQL
  PostgresOptions options;
  options.url = config.store.url;
  return tell(options.url, migrate_postgres(options));
#else
  throw StoreError(StoreError::Kind::kCannotOpen, "this outboxd was built without PostgreSQL");
#endif
}

}  // namespace outboxd
