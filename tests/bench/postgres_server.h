// The PostgreSQL server of a scenario: durable, and set up as one for this would be. And what it does, counted from outside.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bench/report.h"
#include "bench/rig.h"
#include "support/private_postgres.h"

namespace outboxd::bench {

class PostgresServer {
 public:
  static bool is_installed() { return test::PrivatePostgres::is_installed(); }

  // Its files are in the folder of results, on the disk to be measured.
  PostgresServer(const Settings& settings, const std::string& name);

  std::string new_database();  // its name
  void drop(const std::string& database) { postgres_.drop_database(database); }
  std::string url(const std::string& database) const { return postgres_.url(database); }
  std::string sql(const std::string& database, const std::string& script) const {
    return postgres_.sql(database, script);
  }
  std::int64_t number(const std::string& database, const std::string& query) const;
  // Whether statements are counted, which costs time: what is counted is not timed in the same run.
  void count_statements(bool wanted);
  std::chrono::nanoseconds cpu() const;  // of all its processes, those that have ended too

 private:
  test::PrivatePostgres postgres_;
  int databases_ = 0;
};

// What the server did since this was made, an event: its CPU, bytes and flushes of the write-ahead log; and, while they are
// counted, statements and recording transactions.
class ServerMeter {
 public:
  explicit ServerMeter(const PostgresServer& server);
  void add_to(Json& figures, std::int64_t events) const;
  void add_statements_to(Json& figures, std::int64_t events) const;

 private:
  const PostgresServer& server_;
  std::chrono::nanoseconds cpu_before_;
  std::int64_t wal_before_, flushes_before_;
};

// Instead of what a scenario has found.
std::vector<Result> postgresql_is_missing();

}  // namespace outboxd::bench
