// Where a database is: a path on the system's disk, or a name on an SQLite VFS of a test's own.
//
// On such a VFS (a simulated machine's disk) only SQLite finds the file, so the store leaves out what it otherwise looks at
// outside SQLite: the lock file and the kind of file system, the header before the first connection, inodes, the ballast and
// inotify. Whoever looks outside SQLite asks is_on_disk() first.
#pragma once

#include <string>
#include <utility>

#include "store/sqlite/sqlite_store.h"

namespace outboxd::sqlite {

struct Location {
  Location(std::string p, std::string v = {}) : path(std::move(p)), vfs(std::move(v)) {}
  explicit Location(const SqliteOptions& options) : Location(options.path, options.vfs) {}

  bool is_on_disk() const { return vfs.empty(); }

  std::string path;
  std::string vfs;  // as sqlite3_vfs_register() knows it; empty: the system's
};

}  // namespace outboxd::sqlite
