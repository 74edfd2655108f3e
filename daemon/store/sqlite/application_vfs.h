// The VFS on which applications' own databases are opened. Unlike ours (database.cpp), these may be in rollback-journal
// mode, so a journal beside one must be found after a crash. But whoever can put a file there may not make us open or
// delete anything else through it: a journal ends with the name of another file that SQLite would delete.
#pragma once

#include <sqlite3.h>

namespace outboxd::sqlite {

inline constexpr const char* kApplicationVfs = "outboxd-application";

// Registers it as a copy of `system`, once.
void register_application_vfs(const sqlite3_vfs& system);

}  // namespace outboxd::sqlite
