// Who may use the database file: one daemon at a time, on a local file system. Held from before the file is first
// looked at until after the last connection is closed.
#pragma once

#include <string>

#include "store/sqlite/location.h"

namespace outboxd::sqlite {

class FileLock {
 public:
  // Locks "<path>.lock" and writes our pid into it. Throws StoreError: kLocked if another process (or another store of
  // this process) holds it, kCannotOpen for a missing folder, missing permission, or a network file system. On a VFS of
  // its own a database has only one owner anyway, so nothing is locked.
  explicit FileLock(const Location& location);
  ~FileLock();
  FileLock(const FileLock&) = delete;

 private:
  int fd_ = -1;
};

// The folder of the database: it holds the companion files, and is what is watched and synced.
std::string folder_of(const std::string& path);

// Does this statfs(2) type belong to a file system whose locks or shared memory other machines do not see? SQLite's WAL
// cannot work there.
bool is_network_file_system(long type);

}  // namespace outboxd::sqlite
