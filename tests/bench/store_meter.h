// What the store does to its files and b-trees, counted from outside: a VFS below SQLite counts writes and syncs, SQLite's
// trace counts statements, and its table dbstat tells entries and bytes of each b-tree.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <string>

namespace outboxd::bench {

// Since forget_counts(), on all files that were opened after count_files().
struct FileCounts {
  std::int64_t log_writes = 0, log_bytes = 0, log_syncs = 0;                 // of the write-ahead log
  std::int64_t database_writes = 0, database_bytes = 0, database_syncs = 0;  // all of it by checkpoints
  std::map<std::uint32_t, std::int64_t> frames = {};                         // page -> frames in the log

  std::int64_t syncs() const { return log_syncs + database_syncs; }
};
// Puts a VFS that counts below every connection to be opened. Call it before the first one.
void count_files();
const FileCounts& file_counts();
void forget_counts();

// While it lives, the statements that connections opened meanwhile run are counted, each by what it does to which table.
// That costs time: what is counted here is not timed in the same run.
class CountsStatements {
 public:
  CountsStatements();
  ~CountsStatements();
  CountsStatements(const CountsStatements&) = delete;

  // "insert event" -> how often it ran. (Each changes one row, by its key.)
  static const std::map<std::string, std::int64_t>& runs();
};

// A table or an index, and the map of pages that auto_vacuum keeps ("pointer map").
struct Tree {
  std::int64_t entries = 0, bytes = 0;
  std::int64_t frames = 0;  // in the log
};
// Reads the whole file, on a connection of its own.
std::map<std::string, Tree> trees(const std::string& path);

}  // namespace outboxd::bench
