// Deletes what is past its keeping, in steps that do not disturb: each is a command like any other, of a bounded
// number of rows, and the next follows after a pause. No thread of its own.
#pragma once

#include <atomic>
#include <functional>

#include "common/clock.h"
#include "common/executor.h"
#include "store/group_commit.h"
#include "telemetry/metrics.h"

namespace outboxd {

struct RetentionPeriods {
  Millis delivered{};  // delivered and discarded deliveries, and events without any
  Millis dead{};       // dead letters, and rejected rows of the SQL outbox
  Millis at_least{};   // any event: its idempotency key may still be asked for
};

class Retention {
 public:
  // `executor` waits between steps.
  Retention(GroupCommit& commits, const Clock& clock, telemetry::Metrics& metrics, Executor& executor);

  void set(const RetentionPeriods& periods);  // any thread
  void start();                               // any thread
  void stop();                                // any thread
  // After a clock that jumped far forward what looks old may not be: nothing is deleted for kHold, time to set it right.
  void hear(const DueTimesMoved& fact);
  // One step for a caller that waits for its result, with what it wants kept instead of what is set.
  void step(const RetentionPeriods& periods, DeliveryKey after, std::function<void(Result<Pruned>)> done);
  RetentionPeriods periods() const;

  static constexpr std::int64_t kRows = 256;  // of a step: about a millisecond
  static constexpr Millis kPause{10};         // between two; doubled after each that had nothing to delete
  static constexpr Millis kMaxPause{160};
  // Between two rounds; after one that deleted nothing, 20 times what that took, up to an hour.
  static constexpr Millis kInterval = std::chrono::minutes(1);
  static constexpr Millis kMaxInterval = std::chrono::hours(1);
  static constexpr int kIntervalFactor = 20;
  static constexpr Millis kHold = std::chrono::hours(1);

 private:
  void round();
  void next_step(DeliveryKey after);
  void round_ended();
  void later(Millis wait, Executor::Task task);

  GroupCommit& commits_;
  const Clock& clock_;
  telemetry::Metrics& metrics_;
  Executor& executor_;
  std::atomic<Millis> delivered_{}, dead_{}, at_least_{};
  // kStopping: a round is under way or waited for, and ends by itself unless it is started again before.
  enum class State : std::uint8_t { kIdle, kRunning, kStopping };
  std::atomic<State> state_{State::kIdle};
  std::atomic<MonotonicTime> held_until_{};
  // Of the round under way.
  MonotonicTime began_{};
  std::atomic<bool> deleted_{false};
  std::atomic<Millis> pause_{kPause};
};

}  // namespace outboxd
