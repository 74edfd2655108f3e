// Relays the outbox of one application's database (store/source.h): its rows become events here, in the order of their
// numbers and each once, and are then deleted there.
//
// Two databases cannot commit together, so a SourcePlace in ours says which rows were relayed: those with a number in
// (cleared, relayed]. It is stored in the transaction that makes them events, and they are deleted after it. Whatever
// happens in between, rows in there are only deleted and all others are new:
//   - new rows have greater numbers;
//   - rejected rows are never in there (a batch ends before one), so that one can be retried at any time;
//   - a row at or below `cleared` has come back: it was retried, or the file restored. It is relayed as new, but only
//     once everything in there is deleted, because the place then moves back to it.
//
// Of several daemons that share a store and name the same source one relays it (Source::is_ours), the others stand by.
// Should two of them ever try at once, the place tells the later one that it has been moved.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/mutex.h"
#include "ingest/ingest.h"
#include "store/source.h"

namespace outboxd {

enum class SourceState {
  kWaiting,   // everything is relayed
  kRelaying,  // rows are on their way
  kFailing,
  kStandby,  // another daemon relays it
};
std::string_view to_string(SourceState state);

struct SourceStatus {
  std::string name, url;
  SourceState state = SourceState::kWaiting;
  std::string error = {};    // with kFailing
  Time since{};              // it has been in this state
  std::int64_t relayed = 0;  // since the daemon started
  SourceCounts counts = {};  // up to kMaxCounted of each, as they were last seen
  std::optional<Time> last_relayed_at = {};
  std::optional<Time> behind_since =
      {};  // rows have been waiting; absent: none was when it was last looked at
};

class Relay {
 public:
  static constexpr int kMaxCounted = 1000;
  using Accept =
      std::function<void(std::vector<EventDraft>, std::shared_ptr<const SourceStep>, Ingest::Done done)>;
  struct Parts {
    std::string name, url;  // the URL as it may be shown
    OpenSource open;
    std::function<SourcePlace()> stored_place;  // StoreReader::source_place; may throw StoreError
    Accept accept;                              // Ingest::relay
    std::function<EventLimits()> limits;        // Ingest::limits: a reload changes them
    const Clock& clock;
    telemetry::Metrics& metrics;
  };
  explicit Relay(Parts parts);
  Relay(const Relay&) = delete;

  void run();   // until stop(), on a thread of its own, because everything here blocks
  void stop();  // any thread
  // One round of run(): how long to pause before the next one.
  Millis round();

  SourceStatus status() const;  // any thread

 private:
  struct Batch;
  Millis advance();
  void load_place();
  Millis stand_by();
  bool recognise(const SourceRows& found);
  Batch batch_of(const SourceRows& found) const;
  Millis relay(const SourceRows& found);
  Millis refused(const Problem& refused, const SourceRows& found, std::size_t events);
  void reject(const std::vector<SourceRejection>& rows);
  std::optional<Result<std::vector<AcceptedEvent>>> accept(std::vector<EventDraft> drafts,
                                                           const SourcePlace& to);
  bool is_clear() const { return place_.cleared == place_.relayed; }
  void clear(bool needed);
  void record_place();
  void count();
  void set_state(SourceState state, const std::string& error = {});
  Millis failed(const std::string& why);

  const Parts parts_;
  std::atomic<bool> stopping_{false};
  mutable Mutex mutex_;
  CondVar stopped_;
  SourceStatus status_ OUTBOXD_GUARDED_BY(mutex_);

  // Only for the thread of run().
  std::unique_ptr<Source> source_;  // null: not open
  bool has_place_ = false;
  SourcePlace stored_, place_;  // in our database, and as it is by now: rows were deleted since
  std::size_t row_limit_;       // of the next read
  std::int64_t uncleared_ = 0;  // rows in (cleared, relayed], as far as known
  MonotonicTime clear_from_{};  // not before
  MonotonicTime counted_at_{};
  MonotonicTime idle_since_{};
  std::optional<MonotonicTime> busy_since_;     // the application has held its lock
  std::optional<MonotonicTime> refused_since_;  // nothing was accepted
  Millis backoff_{};
  log::Budget rejection_log_;
};

}  // namespace outboxd
