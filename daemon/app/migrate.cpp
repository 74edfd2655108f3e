#include "app/migrate.h"

#include <iostream>

#include "store/sqlite/sqlite_store.h"

namespace outboxd {

int migrate(const config::Config& config) {
  SqliteOptions options;
  options.path = config.store.path();
  const SqliteSchema schema = migrate_sqlite(options);
  std::cout << options.path << ": ";
  if (schema.current == 0) {
    std::cout << "created with schema " << schema.known << '\n';
  } else if (schema.current == schema.known) {
    std::cout << "schema " << schema.known << " already\n";
  } else {
    std::cout << "migrated from schema " << schema.current << " to " << schema.known << '\n';
  }
  return 0;
}

}  // namespace outboxd
