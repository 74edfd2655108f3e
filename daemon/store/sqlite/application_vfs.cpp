#include "store/sqlite/application_vfs.h"

#include <sys/stat.h>

#include <string_view>

namespace outboxd::sqlite {
namespace {

constexpr std::string_view kJournal = "-journal";
constexpr std::string_view kSuperJournal = "-mj";  // of a transaction over several databases

sqlite3_vfs system_vfs, application_vfs;

// A FIFO would be waited for, and a symbolic link leads elsewhere.
int look_for_regular_journal(sqlite3_vfs* vfs, const char* name, int flags, int* found) {
  struct stat status {};
  if (std::string_view(name).ends_with(kJournal) && (lstat(name, &status) != 0 || !S_ISREG(status.st_mode))) {
    *found = 0;
    return SQLITE_OK;
  }
  return system_vfs.xAccess(vfs, name, flags, found);
}

int delete_journal(sqlite3_vfs* vfs, const char* name, int sync_folder) {
  const std::string_view path(name);
  const std::string_view file = path.substr(path.rfind('/') + 1);
  if (!file.ends_with(kJournal) && file.find(kSuperJournal) == std::string_view::npos)
    return SQLITE_IOERR_DELETE;
  return system_vfs.xDelete(vfs, name, sync_folder);
}

}  // namespace

void register_application_vfs(const sqlite3_vfs& system) {
  system_vfs = application_vfs = system;
  application_vfs.zName = kApplicationVfs;
  application_vfs.xAccess = look_for_regular_journal;
  application_vfs.xDelete = delete_journal;
  sqlite3_vfs_register(&application_vfs, 0);
}

}  // namespace outboxd::sqlite
