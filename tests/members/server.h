// A database with the schema on a server of the test's own.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "migrations/embedded.h"
#include "support/private_postgres.h"

namespace outboxd::test {

struct Server {
  PrivatePostgres postgres;
  std::string url = postgres.url("shared");

  Server() {
    postgres.create_database("shared");
    std::string schema;
    for (const auto& migration : embedded::postgresql_migrations()) schema += migration.text;
    sql(schema);
  }
  std::string sql(const std::string& script) const { return postgres.sql("shared", script); }
};

}  // namespace outboxd::test
