// Deletes what is kept no longer, in steps that do not disturb other work: each is an ordinary command over a bounded
// number of rows, and the next one follows after a pause. No thread of its own.
#pragma once

#include <atomic>
#include <functional>
#include <optional>

#include "common/clock.h"
#include "common/executor.h"
#include "store/group_commit.h"
#include "telemetry/metrics.h"

namespace outboxd {

struct RetentionPeriods {
  Millis delivered{};  // delivered and discarded deliveries, and events without any
  Millis dead{};       // dead letters, and rejected rows of the SQL outbox
  Millis at_least{};   // the minimum for any event, because its idempotency key may still be used
  // Payloads of events of which nothing is pending, from when they were accepted; absent: as long as the event.
  std::optional<Millis> payload = {};
};

class Retention {
 public:
  // `executor` runs the waits between steps.
  Retention(GroupCommit& commits, const Clock& clock, telemetry::Metrics& metrics, Executor& executor);

  void set(const RetentionPeriods& periods);  // any thread
  void start();                               // any thread
  void stop();                                // any thread
  // After the clock jumped far forward, what looks old may not be: no round begins for kHold, which leaves time to
  // correct the clock.
  void hear(const DueTimesMoved& fact);
  // Runs one step for a caller that waits for its result, with the periods it gives instead of those set.
  void step(const RetentionPeriods& periods, DeliveryKey after, std::function<void(Result<Pruned>)> done);
  RetentionPeriods periods() const;
  // What was delivered since then is still there. (Not quite as far back as it may be, because retention goes on.)
  Time delivered_kept_since() const;

  static constexpr std::int64_t kRows = 256;  // per step: about a millisecond
  static constexpr Millis kPause{10};  // between two steps; doubled after each that had nothing to delete
  static constexpr Millis kMaxPause{160};
  // Between two rounds; after a round that deleted nothing, 20 times its duration, at least kInterval and at most
  // kMaxInterval.
  static constexpr Millis kInterval = std::chrono::minutes(1);
  static constexpr Millis kMaxInterval = std::chrono::hours(1);
  static constexpr int kIntervalFactor = 20;
  static constexpr Millis kHold = std::chrono::hours(1);

 private:
  static constexpr Millis kForEver = Millis::max();
  void round();
  bool is_held_up() const;
  void next_step(DeliveryKey after);
  void next_payloads(EventSeq after);  // once nothing more is to be deleted
  void step_ended(bool deleted);
  void round_ended();
  void later(Millis wait, Executor::Task task);

  GroupCommit& commits_;
  const Clock& clock_;
  telemetry::Metrics& metrics_;
  Executor& executor_;
  std::atomic<Millis> delivered_{}, dead_{}, at_least_{};
  std::atomic<Millis> payload_{kForEver};
  // kStopping: a round is under way or scheduled, and will end by itself unless retention is started again first.
  enum class State : std::uint8_t { kIdle, kRunning, kStopping };
  std::atomic<State> state_{State::kIdle};
  std::atomic<MonotonicTime> held_until_{};
  // State of the current round.
  MonotonicTime began_{};
  std::atomic<bool> deleted_{false};
  std::atomic<Millis> pause_{kPause};
};

}  // namespace outboxd
