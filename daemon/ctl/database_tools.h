// What `db`, `doctor` and `source` do with databases themselves; a database is the path of SQLite's file or a PostgreSQL URL. outboxctl's main makes them from the store, because this
// folder knows no store. All throw DatabaseFailure.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace outboxd::ctl {

struct DatabaseFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct DatabaseSchema {
  int current = 0;  // of the database; 0: it has none
  int known = 0;    // to this program
};

struct SourceCheck {
  std::string problem;                     // why the database cannot be relayed, and what to do; "": it can
  std::string journal_mode;                // of SQLite's file
  std::int64_t waiting = 0, rejected = 0;  // rows, up to a thousand of each
};

using CopyProgress = std::function<void(std::string_view table, bool compares, std::int64_t rows)>;
using Progress = std::function<void(std::int64_t done, std::int64_t all)>;

struct DatabaseTools {
  std::function<std::vector<std::string>(const std::string& database, bool quick)>
      check;  // lists what is wrong
  std::function<void(const std::string& path, const std::string& target, const Progress&)>
      backup;  // of a file
  std::function<DatabaseSchema(const std::string& database)> schema;
  std::function<DatabaseSchema(const std::string& database)> migrate;  // `current`: what it was before
  // Of a database on a server: from now on its daemons may run on the server where it is now. False: they might already.
  std::function<bool(const std::string& url)> adopt;
  // Everything of one kind of store into an empty one of the other. Returns what was copied, in words.
  std::function<std::string(const std::string& from, const std::string& to, const CopyProgress&)> copy;
  std::function<std::string(bool postgresql)> source_ddl;
  std::function<SourceCheck(const std::string& database)> source_check;
  // Of a database on a server: what a daemon that starts would find there, in words; throws what it would refuse with.
  std::function<std::string(const std::string& url)> examine;
};

}  // namespace outboxd::ctl
