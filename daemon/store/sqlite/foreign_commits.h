// Notices that another process has committed rows to `outbox`.
//
// While our own writer works with hardly a pause it notices that itself (foreign_notice.h), and this only waits for its
// word. Otherwise:
// inotify on the folder tells that someone writes to the WAL, but fires before the commit is visible. PRAGMA
// data_version on a connection that never writes tells exactly whether someone has committed, but must be polled (2
// µs). So: sleep until inotify fires, then poll every millisecond for a while; and poll every 250 ms in any case,
// should inotify miss something.
#pragma once

#include <optional>

#include "store/sqlite/database.h"
#include "store/sqlite/folder_watch.h"
#include "store/sqlite/foreign_notice.h"
#include "store/sqlite/list_statements.h"

namespace outboxd::sqlite {

class ForeignCommits {
 public:
  ForeignCommits(const Location& location, Millis busy_timeout, ForeignNotice& notice);

  // Returns true when a commit was seen and `outbox` has rows waiting, or at the timeout; false after an interrupt of the
  // notice. For one thread. Commits of our own writer count as foreign here, which is why the table is checked too.
  bool wait(Millis timeout);

 private:
  bool outbox_changed();
  // Sleeps; true: interrupted.
  bool leave_to_writer(MonotonicTime deadline);
  bool sleep(MonotonicTime until, bool heed_inotify, bool& stirred);

  Database db_;
  Statement data_version_{db_, "PRAGMA data_version"};
  Statement outbox_has_waiting_{db_, sql::kOutboxHasWaiting};
  std::int64_t seen_version_ = 0;
  std::optional<FolderWatch> watch_;  // absent on a VFS of its own
  ForeignNotice& notice_;
};

}  // namespace outboxd::sqlite
