// The attempts recorded lately, in memory, for those who follow them (GET /v1/attempts). Every attempt gets the next
// number of one sequence, so a reader knows exactly what it has seen, and is told how many it came too late for.
// Bounded: the oldest go when there are too many. Nobody who adds one waits for a reader. Thread safe.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/attempt.h"
#include "common/delivery.h"
#include "common/mutex.h"
#include "store/facts.h"

namespace outboxd::api {

struct RecordedAttempt {
  DeliveryId delivery;
  EventId event;
  EndpointId endpoint;
  std::string type;                               // of the event
  Attempt attempt;                                // without what came back: that is on disk
  DeliveryState state = DeliveryState::kPending;  // what the attempt made of the delivery
  std::optional<DeadReason> reason;
  std::optional<Time> due_at;  // of the next attempt, while pending
  Time recorded_at{};
};

class AttemptFeed {
 public:
  static constexpr std::size_t kDefaultKept = 16'384;  // about a second at full speed; 10 MB
  static constexpr std::size_t kMaxExamined = 4096;    // by one read, which holds the lock meanwhile

  struct Filter {
    std::optional<EndpointId> endpoint;
    bool failed = false;  // only those that failed
  };
  using Rows = std::vector<std::shared_ptr<const RecordedAttempt>>;
  struct Page {
    Rows rows;                  // in the order they were recorded
    std::uint64_t last = 0;     // number of the last one looked at: where the next page begins
    std::uint64_t dropped = 0;  // recorded after `after` and gone again before this page was asked for
  };

  explicit AttemptFeed(std::size_t kept = kDefaultKept) : kept_(kept) {}
  AttemptFeed(const AttemptFeed&) = delete;

  void hear(const OutcomeRecorded& fact);  // of an outcome without an attempt nothing is kept
  // Those after number `after`, the first ones first. A page may be short: each looks at a bounded number.
  Page after(std::uint64_t after, const Filter& filter, std::size_t limit) const;
  // The latest `limit` there are.
  Page latest(const Filter& filter, std::size_t limit) const;

 private:
  static bool matches(const RecordedAttempt& recorded, const Filter& filter);
  std::uint64_t first() const OUTBOXD_REQUIRES(mutex_) {
    return last_ - recorded_.size() + 1;
  }  // number of the oldest one kept

  const std::size_t kept_;
  mutable Mutex mutex_;
  std::deque<std::shared_ptr<const RecordedAttempt>> recorded_ OUTBOXD_GUARDED_BY(mutex_);
  std::uint64_t last_ OUTBOXD_GUARDED_BY(mutex_) = 0;  // number of the newest one
};

}  // namespace outboxd::api
