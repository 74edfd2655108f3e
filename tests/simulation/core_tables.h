// The tables of a simulated world's database, over a connection of their own: for checks, and for producers that use
// SQL.
#pragma once

#include <sqlite3.h>

#include <functional>
#include <string>
#include <vector>

#include "simulation/core_ledger.h"
#include "simulation/memory_vfs.h"

namespace outboxd::simulation {

class CoreTables {
 public:
  CoreTables(const MemoryDisk& disk, std::string path, std::string vfs)
      : disk_(disk), path_(std::move(path)), vfs_(std::move(vfs)) {}
  ~CoreTables() { close(); }
  CoreTables(const CoreTables&) = delete;

  void close();  // at a crash of the machine

  // What a producer inserts in one transaction. False: it could not, and nothing was stored.
  struct OutboxInsert {
    std::string type, payload;
    std::optional<std::string> tenant, ordering_key, idempotency_key;
  };
  bool insert(const std::vector<OutboxInsert>& rows);

  // No fault strikes these.
  Ledger::Tables read(Store& store);
  std::int64_t number(const char* sql);
  void check(Store& store, const Ledger::Fail& fail);  // the rules that hold after every commit

 private:
  using OnRow = std::function<void(sqlite3_stmt*)>;
  bool open();
  bool run(const char* sql, const std::function<void(sqlite3_stmt*)>& bind, const OnRow& on_row);
  void read_rows(const char* sql, const OnRow& on_row);

  const MemoryDisk& disk_;
  const std::string path_, vfs_;
  sqlite3* db_ = nullptr;
};

}  // namespace outboxd::simulation
