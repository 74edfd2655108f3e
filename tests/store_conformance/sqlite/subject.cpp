#include "store_conformance/subject.h"

#include <sqlite3.h>

#include "store/sqlite/sqlite_store.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

namespace outboxd::test {
namespace {

class SqliteSubject final : public Subject {
 public:
  SqliteSubject() { reopen(); }
  Store& store() override { return *store_; }
  ManualClock& clock() override { return clock_; }
  void reopen() override {
    store_.reset();
    SqliteOptions options;
    options.path = folder_ / "outbox.db";
    options.clock = &clock_;
    store_ = open_sqlite_store(options);
  }
  bool produce(const std::string& sql) override {
    sqlite3* db = nullptr;
    bool ok = sqlite3_open((folder_ / "outbox.db").c_str(), &db) == SQLITE_OK;
    ok = ok && sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
    sqlite3_close(db);
    return ok;
  }

 private:
  TemporaryFolder folder_;
  ManualClock clock_{kNow};
  std::unique_ptr<Store> store_;
};

}  // namespace

std::unique_ptr<Subject> make_subject() {
  return std::make_unique<SqliteSubject>();
}

}  // namespace outboxd::test
