// What an operator does with the database file itself: checking it and copying it, beside a running daemon or
// without one. None of it writes to the database. A read of the whole file holds up the WAL's beginning anew: it
// grows by what is written meanwhile.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "store/sqlite/sqlite_store.h"

namespace outboxd {

// What is wrong with it, a line each, at most about a hundred; none: it is whole. SQLite's own check of every page
// and index (`quick`: without comparing indexes with tables), whether the tables agree with each other, and whether every
// event matches its checksum (`quick`: without that, for a backup of a database with one damaged event is worth having).
// Throws StoreError when it cannot be opened at all.
std::vector<std::string> check_sqlite(const SqliteOptions& options, bool quick);

// Copies the database as of one moment to `target`, which must not exist, and appears when it is complete, on disk
// and checked. `progress` is told pages. Throws StoreError (the source), std::runtime_error (the target).
void backup_sqlite(const SqliteOptions& options, const std::string& target,
                   const std::function<void(std::int64_t done, std::int64_t all)>& progress);

}  // namespace outboxd
