// The VFS on which our own connections that write are opened. It writes what a transaction adds to the
// write-ahead log with one call, where SQLite makes two for each page: with 64 events in a commit, one
// instead of about thirty. All else it leaves to the system's VFS.
//
// What SQLite writes to the log is gathered in memory and leaves it before anyone may rely on it: with the
// last frame of a transaction, and before a sync, a read of it, or anything else that is asked of the file.
// Only then does SQLite publish the transaction in its index of the log, so no other connection ever looks
// for frames that are not in the file yet.
//
// A transaction larger than the page cache gathers pages before its commit. With its rollback they must go:
// the next transaction, perhaps another program's, puts its own in their place, and whatever wrote them later
// would overwrite it.
#pragma once

#include <sqlite3.h>

namespace outboxd::sqlite {

inline constexpr const char* kLogVfs = "outboxd-log";

// Registers it over `system`, which it goes on using, once.
void register_log_vfs(sqlite3_vfs& system);

// To be called for each connection on it. It takes SQLite's rollback hook.
void drop_gathered_at_rollback(sqlite3* db);

}  // namespace outboxd::sqlite
