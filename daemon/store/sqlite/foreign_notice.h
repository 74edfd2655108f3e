// What the writer tells the thread that waits for commits of others (foreign_commits.h), so that they are not looked for
// twice: while the writer is at work, it notices them itself, at the beginning of its next transaction.
#pragma once

#include <atomic>

#include "common/time.h"

namespace outboxd::sqlite {

class ForeignNotice {
 public:
  ForeignNotice();  // throws StoreError
  ~ForeignNotice();
  ForeignNotice(const ForeignNotice&) = delete;

  // So long after its last transaction the writer counts as idle; this is how late a commit right behind it is noticed.
  static constexpr Millis kWriterIdle{3};

  // For the writer's thread: a transaction begins or ends.
  void writer_at_work();

  // Any thread.
  void ring();       // others have committed
  void interrupt();  // ends the current wait or, if there is none, the next

  // For the thread that waits: until when it may rely on the writer, which works with hardly a pause; in the past: it
  // does not.
  MonotonicTime writer_looks_until() const;
  int fd() const { return fd_; }  // readable after ring() and interrupt()
  bool take();                    // what made it readable; true: an interrupt

 private:
  std::atomic<MonotonicTime::rep> looks_until_{MonotonicTime::min().time_since_epoch().count()};
  // Only for the writer's thread.
  MonotonicTime last_at_work_{};
  int without_pause_ = 0;  // transactions begun and ended, fewer with each pause
  std::atomic<bool> interrupted_{false};
  int fd_;
};

}  // namespace outboxd::sqlite
