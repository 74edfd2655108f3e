// The thread that speaks with the other daemons: it looks for what they have committed, hears them ring, and rings for what
// this daemon's writer has committed. It outlives every outage: a lost session is replaced, with backoff, for ever. It
// ends when the database has lost what this daemon knows.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "common/mutex.h"
#include "store/postgresql/doorbell.h"
#include "store/postgresql/foreign_changes.h"
#include "store/postgresql/standing.h"

namespace outboxd::postgresql {

class Neighbours {
 public:
  static constexpr Millis kLookMin{100}, kLookMax{250};  // evenly spread, so that daemons do not look in step
  static constexpr Millis kRingEvery{50};
  static constexpr Millis kFirstBackoff{100}, kMaxBackoff{2000};

  // `word` tells our own notifications from those of others.
  Neighbours(std::unique_ptr<ForeignChanges> changes, Doorbell& doorbell, Standing& standing,
             std::string word);
  ~Neighbours() { stop(); }
  Neighbours(const Neighbours&) = delete;

  void start();
  void stop();
  // Any thread. Why the last look did not succeed; "": it did, or there was none yet.
  std::string why_unreachable() const {
    const MutexLock lock(mutex_);
    return why_unreachable_;
  }

 private:
  void run();
  bool set_unreachable(const std::string& why);  // true: it was reachable before
  void look();
  void ring();
  bool hear();
  void wait(std::chrono::steady_clock::time_point until);

  const std::unique_ptr<ForeignChanges> changes_;
  Doorbell& doorbell_;
  Standing& standing_;
  const std::string word_;
  std::chrono::steady_clock::time_point ring_at_{};
  int joins_ = 0;
  mutable Mutex mutex_;
  std::string why_unreachable_ OUTBOXD_GUARDED_BY(mutex_);
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace outboxd::postgresql
