// Where a database is: a path on the system's disk, or a name on an SQLite VFS that a test provides.
//
// On such a VFS (the disk of a simulated machine) only SQLite can find the file, so the store skips everything it
// otherwise does outside SQLite: the lock file, the type of file system, the header check before the first connection,
// inodes, the ballast and inotify. Code that looks at files without SQLite checks is_on_disk() first.
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
  std::string vfs;  // the name given to sqlite3_vfs_register(); empty: the system's VFS
};

}  // namespace outboxd::sqlite
