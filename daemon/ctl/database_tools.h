// What `db`, `doctor` and `source` do with database files themselves. outboxctl's main makes them from the store, because this
// folder knows no store. All throw DatabaseFailure.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace outboxd::ctl {

struct DatabaseFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct DatabaseSchema {
  int current = 0;  // of the file; 0: there is none
  int known = 0;    // to this program
};

struct SourceCheck {
  std::string problem;  // why the file cannot be relayed, and what to do; "": it can
  std::string journal_mode;
  std::int64_t waiting = 0, rejected = 0;  // rows, up to a thousand of each
};

using Progress = std::function<void(std::int64_t done, std::int64_t all)>;

struct DatabaseTools {
  std::function<std::vector<std::string>(const std::string& path, bool quick)> check;  // lists what is wrong
  std::function<void(const std::string& path, const std::string& target, const Progress&)> backup;
  std::function<DatabaseSchema(const std::string& path)> schema;
  std::function<DatabaseSchema(const std::string& path)> migrate;  // `current`: what it was before
  std::function<std::string()> source_ddl;
  std::function<SourceCheck(const std::string& path)> source_check;
};

}  // namespace outboxd::ctl
