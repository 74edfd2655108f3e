// Checks that the files which the next start will find are those that this process has open. If they were removed,
// moved or replaced, SQLite would go on and acknowledge data that nobody will ever find again.
//
// The check compares inode and device. These cannot reveal a file that was overwritten in place (cp keeps the inode):
// that is noticed if the file is no longer a database of ours, but not if it is an older copy of ours.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "store/sqlite/database.h"

namespace outboxd::sqlite {

class ServedFiles {
 public:
  // The database at the path in `location`, as the configuration names it, with its -wal, -shm and .lock. `db` has
  // already read from it and outlives this. Throws StoreError (kFailed) if that path no longer names the file that `db`
  // has open. On a VFS of its own nobody else touches the files, so none is checked.
  ServedFiles(Database& db, const Location& location);

  // Both throw StoreError (kFailed), which says what happened to which file and what to do, after saving what can be
  // saved. Call them outside a transaction, on the thread of `db`.
  //
  // Checks the two files that hold accepted data, before each acknowledgement: two calls of stat(2).
  void check();
  // Checks also the files that keep other processes in step with this one, and the header of the database.
  void check_all();

 private:
  enum class Part { kDatabase, kLog, kOther };
  struct File {
    std::string path;
    Part part = Part::kOther;
    dev_t device = 0;
    ino_t inode = 0;
  };
  void add(std::string path, Part part);
  void check(const File& file);
  std::optional<std::string> what_happened_to(const File& file) const;
  bool is_still_ours() const;
  std::string save(const File& file);
  std::string copy_of_removed(mode_t mode);

  Database& db_;
  const std::string path_;
  std::vector<File> files_;
};

// Where check() copies a removed database to. While that copy is there, a start without a database refuses to create a
// new one.
std::string rescued_path(const std::string& path);

}  // namespace outboxd::sqlite
