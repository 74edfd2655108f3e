// Notices that another process has committed rows to `outbox`.
//
// inotify on the folder tells that someone writes to the WAL, but fires before the commit is visible. PRAGMA
// data_version on a connection that never writes tells exactly whether someone has committed, but must be polled (2
// µs). So: sleep until inotify fires, then poll every millisecond for a while; and poll every 250 ms in any case,
// should inotify miss something.
#pragma once

#include <optional>

#include "store/sqlite/database.h"
#include "store/sqlite/folder_watch.h"
#include "store/sqlite/list_statements.h"

namespace outboxd::sqlite {

class ForeignCommits {
 public:
  ForeignCommits(const Location& location, Millis busy_timeout);
  ~ForeignCommits();
  ForeignCommits(const ForeignCommits&) = delete;

  // Returns true when a commit was seen and `outbox` has rows waiting, or at the timeout; false after interrupt(). For
  // one thread. Commits of our own writer count as foreign here, which is why the table is checked too.
  bool wait(Millis timeout);
  void interrupt();  // any thread; wakes the current wait() or, if there is none, the next

 private:
  bool outbox_changed();
  // True: interrupted. Sets `stirred` if inotify reports anything.
  bool sleep(Millis at_most, bool heed_inotify, bool& stirred);

  Database db_;
  Statement data_version_{db_, "PRAGMA data_version"};
  Statement outbox_has_waiting_{db_, sql::kOutboxHasWaiting};
  std::int64_t seen_version_ = 0;
  std::optional<FolderWatch> watch_;  // absent on a VFS of its own
  int interrupt_ = -1;
};

}  // namespace outboxd::sqlite
