// What an operator does with the database file itself: checking and copying it, with or without a running daemon.
// Nothing here writes to the database. While the whole file is being read, the WAL cannot start again from its
// beginning, so it grows by what is written meanwhile.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "store/sqlite/sqlite_store.h"

namespace outboxd {

// The problems found, one line each, at most about a hundred; empty: the database is intact. Checks every page and
// index with SQLite's own check (`quick`: without comparing indexes with tables), whether the tables agree with each
// other, and whether every event matches its checksum (`quick`: not, because a backup of a database with one damaged
// event is still worth having). Throws StoreError if the database cannot be opened at all.
std::vector<std::string> check_sqlite(const SqliteOptions& options, bool quick);

// Copies the database as of one moment to `target`, which must not exist and appears only when the copy is complete,
// synced and checked. `progress` is given numbers of pages. Throws StoreError (for the source), std::runtime_error (for
// the target).
void backup_sqlite(const SqliteOptions& options, const std::string& target,
                   const std::function<void(std::int64_t done, std::int64_t all)>& progress);

}  // namespace outboxd
