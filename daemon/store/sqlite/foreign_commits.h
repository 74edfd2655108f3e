// Notices that another process has committed rows to `outbox`.
//
// inotify on the folder says that somebody writes to the WAL, but it fires before the commit can be seen;
// PRAGMA data_version on a connection that never writes says, exactly, that somebody has committed, but has
// to be asked (2 µs). So: sleep until inotify, then ask every millisecond for a while; and every 250 ms
// regardless, should inotify miss something.
#pragma once

#include <string>

#include "store/sqlite/database.h"
#include "store/sqlite/list_statements.h"

namespace outboxd::sqlite {

class ForeignCommits {
 public:
  ForeignCommits(const Location& location, Millis busy_timeout);
  ~ForeignCommits();
  ForeignCommits(const ForeignCommits&) = delete;

  // Returns when a commit was seen and `outbox` has rows that wait, at the timeout, or after interrupt(), then false. One
  // thread. Commits of our own writer count as foreign here, which is why the table is asked too.
  bool wait(Millis timeout);
  void interrupt();  // any thread; wakes the wait under way or else the next one

 private:
  bool outbox_changed();
  // True: interrupted. `stirred` is set when inotify reports anything.
  bool sleep(Millis at_most, bool heed_inotify, bool& stirred);

  Database db_;
  Statement data_version_{db_, "PRAGMA data_version"};
  Statement outbox_has_waiting_{db_, sql::kOutboxHasWaiting};
  std::int64_t seen_version_ = 0;
  int inotify_ = -1;
  int interrupt_ = -1;
};

}  // namespace outboxd::sqlite
