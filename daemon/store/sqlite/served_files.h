// Are the files that the next start will find those that this process has open? SQLite goes on with files that were removed,
// moved or replaced, and acknowledges what nobody will ever find again.
//
// Inode and device tell. What they cannot tell: a file that was overwritten in place (cp over it keeps its inode). That is
// noticed when it is no database of ours any more, and not when it is an older copy of ours.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "store/sqlite/database.h"

namespace outboxd::sqlite {

class ServedFiles {
 public:
  // The database at `path` as the configuration names it, with its -wal, -shm and .lock. `db` has read from it already, and
  // outlives this. Throws StoreError (kFailed) when it is not `path` any more. On a VFS of its own nobody else touches the
  // files, and none is looked at.
  ServedFiles(Database& db, const Location& location);

  // Both throw StoreError (kFailed), which says what happened to which file and what to do, after they have saved what can be.
  // Outside a transaction, on the thread of `db`.
  void
  check();  // the two files that hold what was accepted: before each acknowledgement, two calls of stat(2)
  void check_all();  // and those without which other processes go their own way, and what is in the database

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

// Where check() copies a database to that was removed; a start without a database refuses to make a new one beside it.
std::string rescued_path(const std::string& path);

}  // namespace outboxd::sqlite
