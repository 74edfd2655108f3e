// The store over a server that this program starts. Each test has a database of its own, a copy of one that is filled once.
#include "store_conformance/subject.h"

#include <libpq-fe.h>

#include <chrono>
#include <regex>
#include <stdexcept>

#include "store/postgresql/postgres_store.h"
#include "support/private_postgres.h"
#include "support/store_values.h"

namespace outboxd::test {
namespace {

const std::string kTemplate = "filled";

PrivatePostgres& server() {
  static PrivatePostgres one;
  return one;
}

std::unique_ptr<Store> open(const std::string& database, const Clock& clock) {
  PostgresOptions options;
  options.url = server().url(database);
  options.clock = &clock;
  return open_postgres_store(options);
}

void fill_template() {
  static const bool filled = [] {
    const ManualClock clock(kNow);
    server().create_database(kTemplate);
    open(kTemplate, clock);
    return true;
  }();
  static_cast<void>(filled);
}

// What is said to SQLite and to PostgreSQL in other words: literals of bytes, which have a column of their own in the
// outbox, and ids.
std::string in_its_words(const std::string& sql) {
  static const std::regex bytes("[Xx]'([0-9A-Fa-f]*)'"), zeros(R"(zeroblob\(16\))");
  std::string said = std::regex_replace(sql, zeros, "'00000000-0000-0000-0000-000000000000'");
  if (!std::regex_search(said, bytes)) return said;
  if (said.find("outbox") != said.npos)
    said = std::regex_replace(said, std::regex("payload"), "payload_bytes");
  return std::regex_replace(said, bytes, "'\\x$1'");
}

class PostgresSubject final : public Subject {
 public:
  PostgresSubject() {
    static int made = 0;
    fill_template();
    database_ = "test_" + std::to_string(++made);
    server().create_database(database_, kTemplate);
    reopen();
  }
  ~PostgresSubject() override {
    store_.reset();
    server().drop_database(database_);
  }

  Store& store() override { return *store_; }
  ManualClock& clock() override { return clock_; }
  // Tests are of a daemon that owns everything.
  void reopen() override {
    store_.reset();
    store_ = open(database_, clock_);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!store_->ownership().partitions.all()) {
      if (std::chrono::steady_clock::now() > until)
        throw std::runtime_error("the only daemon does not get all partitions");
      store_->wait_for_changes(Millis(100));  // which tells of them
    }
  }
  bool produce(const std::string& sql) override {
    PGconn* const connection = PQconnectdb(server().url(database_).c_str());
    PGresult* const result = PQexec(connection, in_its_words(sql).c_str());
    const bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    PQfinish(connection);
    return ok;
  }

 private:
  std::string database_;
  ManualClock clock_{kNow};
  std::unique_ptr<Store> store_;
};

}  // namespace

std::unique_ptr<Subject> make_subject() {
  return std::make_unique<PostgresSubject>();
}

}  // namespace outboxd::test
