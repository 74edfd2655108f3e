// Low-water marks of due times: for each endpoint and priority, a time before which nothing is due, so that a fetch begins
// there. Deleted rows stay in an index for as long as somebody anywhere holds an old snapshot, and a fetch that began at
// the start of the index would walk over all of them again: with 200,000 of them it took 40 ms, with the mark 0.07 ms.
//
// A mark rises to what a fetch has seen, but not past what may still appear: a delivery whose transaction had not ended when
// the fetch looked. Its due time is hardly older than its transaction, which got its number after the last snapshot that
// did not know of it; so earlier fetches say how far the mark may rise (nothing_before()). While any transaction on that
// server stays open that is long ago; but no daemon's takes longer than kLag, so a mark is never further behind.
//
// Whoever commits a delivery with a due time that is older than kLate (an event that waited for its commit, the next in an
// order) or finds one of another daemon's calls lower() or forget(). Whatever escaped that is found by the full look that
// each endpoint gets once every kFullLook.
//
// Only the owner of an endpoint sees all that lowers its marks: whoever becomes it begins anew (clear()).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

#include "common/id.h"
#include "common/mutex.h"
#include "common/time.h"

namespace outboxd::postgresql {

class DueMarks {  // any thread
 public:
  static constexpr std::size_t kPriorities = 10;
  static constexpr Millis kLag = std::chrono::seconds(15), kFullLook = std::chrono::seconds(60);
  static constexpr Millis kLate{1000};
  // Besides, a fetch reads the clock a moment after it took its snapshot, and clocks are set back a little all the time.
  static constexpr Millis kMargin = kLate + Millis(250);
  static constexpr std::size_t kMaxEndpoints = 200'000;  // about 40 MB; beyond, all begin anew

  using Times = std::array<std::optional<Time>, kPriorities>;  // by priority; absent: from the beginning
  struct Look {
    Times from;
    bool full = false;
    std::uint64_t lowered = 0;
  };
  // A fetch's snapshot, and the database's clock then.
  struct Snapshot {
    Time at{};
    std::int64_t oldest = 0;  // of the transactions that had not ended
    std::int64_t next = 0;    // the number that the next transaction gets
  };

  // A fetch begins, before its snapshot: from where it has to read. `mono`: a clock that never steps.
  Look begin(EndpointSeq endpoint, Millis mono) OUTBOXD_EXCLUDES(mutex_);
  // It has ended: the earliest due time it saw of each priority (absent: none).
  // False: the database's clock has gone back, so that the fetch may have begun too late; all marks are gone, fetch again.
  bool saw(EndpointSeq endpoint, const Look& look, const Times& earliest, const Snapshot& snapshot,
           Millis mono) OUTBOXD_EXCLUDES(mutex_);

  // Something of this endpoint may now be fetched that was due at `due_at`. To be called after its commit, before
  // anybody is told.
  void lower(EndpointSeq endpoint, Time due_at) OUTBOXD_EXCLUDES(mutex_);
  void forget(EndpointSeq endpoint) OUTBOXD_EXCLUDES(mutex_);
  void clear() OUTBOXD_EXCLUDES(mutex_);

 private:
  struct Marks {
    Times at;
    std::optional<Millis> full_look;  // when the last one began; absent: never
    std::uint64_t lowered = 0;  // how often; a fetch that began before does not raise what was lowered since
  };

  void remember(const Snapshot& snapshot) OUTBOXD_REQUIRES(mutex_);
  Time nothing_before(const Snapshot& snapshot) const OUTBOXD_REQUIRES(mutex_);

  Mutex mutex_;
  std::unordered_map<EndpointSeq, Marks> marks_ OUTBOXD_GUARDED_BY(mutex_);
  std::deque<Snapshot> snapshots_
      OUTBOXD_GUARDED_BY(mutex_);  // of the last kLag, some of them; all members rise
  Time latest_ OUTBOXD_GUARDED_BY(mutex_){};
  std::uint64_t lowered_ OUTBOXD_GUARDED_BY(mutex_) = 0;
};

}  // namespace outboxd::postgresql
