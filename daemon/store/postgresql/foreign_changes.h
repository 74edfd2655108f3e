// Finds what others have committed, by looking: producers in the table outbox, other daemons everywhere else. A look is one
// round trip, done every 100 to 250 ms and whenever somebody rings (doorbell.h). What it finds is a hint.
//
// New deliveries are found by their numbers, which are not in the order of the commits: whoever drew a number may commit
// after those who drew later ones. So a look reads again from the highest number of which it is certain that everything up
// to it was there at the look before: numbers drawn before a snapshot belong to transactions that have begun before it,
// and these have ended once no transaction older than the snapshot is left.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/mutex.h"
#include "store/postgresql/connection.h"
#include "store/postgresql/due_marks.h"
#include "store/postgresql/outbox_mark.h"
#include "store/store.h"

namespace outboxd::postgresql {

// The events that this daemon has accepted itself, whose deliveries it knows from the facts of its own commits.
class OwnEvents {
 public:
  void add(const Facts& facts);  // the writer's thread, after each commit
  // Those added since the last call, and which are greater than `mark`; the looking thread.
  const std::unordered_set<EventSeq>& after(EventSeq mark);

 private:
  static constexpr std::size_t kMaxAdded = 200'000;
  Mutex mutex_;
  std::vector<EventSeq> added_ OUTBOXD_GUARDED_BY(mutex_);
  std::unordered_set<EventSeq> known_;  // the looking thread's
};

// What this daemon has heard of is not in the database any more: it must start again over what is there.
struct HistoryLost : StoreError {
  explicit HistoryLost(const std::string& what) : StoreError(Kind::kFailed, what) {}
};

class ForeignChanges {
 public:
  static constexpr Millis kFullLook = std::chrono::minutes(1);
  static constexpr Millis kMaxTransaction = std::chrono::seconds(15);  // no daemon's takes longer
  static constexpr Millis kMinLag = std::chrono::seconds(1);
  static constexpr int kMaxRows = 5000;

  // `reader`: for the endpoints that have changed. Changes after `directory` are told.
  ForeignChanges(const ConnectionOptions& options, std::unique_ptr<StoreReader> reader, OwnEvents& own,
                 DueMarks& marks, DirectoryVersion directory);
  ~ForeignChanges();

  // A connection that was lost is replaced at the next look, and everything is looked at then. Throws StoreError, of which
  // only HistoryLost is final.
  Facts look(const PartitionSet& owned, bool has_peers);
  void disconnect();                      // the next look connects anew
  void send(const std::string& payload);  // NOTIFY
  std::vector<std::string> heard();       // payloads of notifications that have come, of anybody
  int fd() const { return db_ ? PQsocket(db_->handle()) : -1; }

 private:
  struct Place {  // of the numbers, at an earlier look
    EventSeq last = 0;
    std::int64_t end = 0;  // all transactions that had begun have a number below
    std::chrono::steady_clock::time_point at;
  };
  struct Session;
  Facts look_at_all(const PartitionSet& owned, bool has_peers);
  void connect();
  void find_changed_endpoints(DirectoryVersion now, Facts& facts);
  void find_work(Cursor row, bool has_peers, std::int64_t outbox_from,
                 std::chrono::steady_clock::time_point began, Facts& facts);
  void find_deliveries(Cursor rows, const PartitionSet& owned, Facts& facts);
  void raise_mark(std::int64_t oldest);

  const ConnectionOptions options_;
  const std::unique_ptr<StoreReader> reader_;
  OwnEvents& own_;
  DueMarks& marks_;
  DirectoryVersion directory_;
  std::unique_ptr<Connection> db_;
  std::unique_ptr<Session> session_;  // its statements
  EventSeq mark_ = -1;                // -1: not known yet
  bool found_before_ = false;         // the last look was for deliveries too
  std::deque<Place> places_;
  std::set<std::pair<EventSeq, EndpointSeq>> seen_;  // found before, above the mark
  OutboxMark outbox_mark_;
  std::string work_;  // fan-outs and batches, as they were at the last look
  std::chrono::steady_clock::time_point full_look_at_{};
};

}  // namespace outboxd::postgresql
