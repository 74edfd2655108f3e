// What holds for each session of ours, whatever the server, its version, the database and the role have as defaults.
#include <doctest/doctest.h>
#include <signal.h>

#include <string>

#include "store/postgresql/connection.h"
#include "support/private_postgres.h"

using namespace outboxd;
using namespace outboxd::test;
using postgresql::Connection;
using postgresql::Statement;

namespace {

constexpr const char* kSlow = "SELECT 1 FROM pg_sleep(2.2)";

struct Sessions {
  PrivatePostgres server;
  Sessions() { server.create_database("sessions"); }
  std::string url() const { return server.url("sessions"); }
  int version() const { return std::stoi(server.sql("sessions", "SHOW server_version_num")); }
};

}  // namespace

TEST_CASE_FIXTURE(Sessions, "limits that a database has for others are not ours") {
  std::string defaults = "ALTER DATABASE sessions SET statement_timeout = '2s';";
  if (version() >= 140000) defaults += "ALTER DATABASE sessions SET idle_session_timeout = '2s';";
  if (version() >= 170000) defaults += "ALTER DATABASE sessions SET transaction_timeout = '2s';";
  server.sql("postgres", defaults);
  Connection db({.url = url(), .purpose = "test"});
  Statement slow(db, kSlow);
  db.execute("BEGIN");
  slow.run();
  CHECK(server.sql("postgres", kSlow) == "1");  // meanwhile it is silent
  db.execute("COMMIT");
  CHECK(server.sql("postgres", kSlow) == "1");
  CHECK(db.query_int("SELECT 7") == 7);
}

TEST_CASE_FIXTURE(Sessions, "a session without a limit waits for as long as a statement takes") {
  Connection db({.url = url(), .purpose = "test", .statement_timeout = Millis(0), .grace = Millis(50)});
  Statement slow(db, "SELECT 1 FROM pg_sleep(0.3)");
  CHECK_NOTHROW(slow.run());
  CHECK_FALSE(db.is_lost());
}

TEST_CASE_FIXTURE(Sessions, "a server that does not answer is given up, and that is what is said") {
  Connection db({.url = url(), .purpose = "test", .statement_timeout = Millis(50), .grace = Millis(50)});
  REQUIRE(kill(db.backend(), SIGSTOP) == 0);
  Statement statement(db, "SELECT 1");
  std::string said;
  try {
    statement.run();
  } catch (const StoreError& error) {
    CHECK(error.kind == StoreError::Kind::kBusy);
    said = error.what();
  }
  kill(db.backend(), SIGCONT);
  CHECK(said.starts_with("the server does not answer"));
  CHECK(db.is_lost());
}
