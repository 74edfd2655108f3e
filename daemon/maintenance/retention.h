// Deletes what is past its keeping, in steps that do not disturb: each is a command like any other, of a bounded
// number of rows, and the next follows after a pause. No thread of its own.
#pragma once

#include <atomic>
#include <functional>

#include "common/clock.h"
#include "store/group_commit.h"
#include "telemetry/metrics.h"

namespace outboxd {

class Retention {
 public:
  struct Keep {
    Millis delivered{};  // delivered and discarded deliveries, and events without any
    Millis dead{};       // dead letters, and rejected rows of the SQL outbox
    Millis at_least{};   // any event: its idempotency key may still be asked for
  };
  // Runs a task so much later, on whatever thread.
  using Later = std::function<void(Millis, std::function<void()>)>;
  Retention(GroupCommit& commits, const Clock& clock, telemetry::Metrics& metrics, Later later);

  void set(const Keep& keep);  // any thread
  void start();
  void stop() { stopped_ = true; }
  // The clock jumped forward: what looks old may not be. Nothing is deleted for kHold, time to set it right.
  void hold();
  // One step for a caller that waits for its result, with what it wants kept instead of what is set.
  void step(const Keep& keep, DeliveryKey after,
            std::function<void(const Prune&, const std::optional<Problem>&)> done);
  Keep keep() const;

  static constexpr std::int64_t kRows = 256;  // of a step: about a millisecond
  static constexpr Millis kPause{10};         // between two; doubled after each that had nothing to delete
  static constexpr Millis kLongestPause{160};
  // Between two rounds; after one that deleted nothing, 20 times what that took, up to an hour.
  static constexpr Millis kInterval = std::chrono::minutes(1);
  static constexpr Millis kLongestInterval = std::chrono::hours(1);
  static constexpr int kIntervalFactor = 20;
  static constexpr Millis kHold = std::chrono::hours(1);

 private:
  void round();
  void next_step(DeliveryKey after);
  void round_ended();

  GroupCommit& commits_;
  const Clock& clock_;
  telemetry::Metrics& metrics_;
  const Later later_;
  std::atomic<Millis> delivered_{}, dead_{}, at_least_{};
  std::atomic<bool> stopped_{false};
  std::atomic<MonotonicTime> held_until_{};
  // Of the round under way.
  MonotonicTime began_{};
  std::atomic<bool> deleted_{false};
  std::atomic<Millis> pause_{kPause};
};

}  // namespace outboxd
