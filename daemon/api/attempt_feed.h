// The most recent attempts, kept in memory for clients that follow them (GET /v1/attempts). Attempts are numbered in
// one sequence, so a reader knows exactly what it has seen and is told how many it missed. Bounded: the oldest are
// dropped when there are too many. Recording an attempt never waits for readers to catch up. Thread safe.
#pragma once

#include <atomic>
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
  std::uint64_t position = 0;  // in the feed
  DeliveryId delivery;
  EventId event;
  EndpointId endpoint;
  std::string tenant;                             // of the endpoint
  std::string type;                               // of the event
  Attempt attempt;                                // without the response, which is on disk only
  DeliveryState state = DeliveryState::kPending;  // of the delivery, after this attempt
  std::optional<DeadReason> reason;
  std::optional<Time> due_at;  // of the next attempt, while pending
  Time recorded_at{};
};

class AttemptFeed {
 public:
  static constexpr std::size_t kDefaultKept = 16'384;  // about a second at full speed; 10 MB
  static constexpr std::size_t kMaxExamined = 4096;    // by one read, because it holds the lock

  struct Filter {
    std::optional<EndpointId> endpoint;
    bool failed = false;  // only failed attempts
    std::optional<std::string> tenant = {};
    std::optional<std::string> type = {};  // an event type, or a pattern
  };
  using Rows = std::vector<std::shared_ptr<const RecordedAttempt>>;
  struct Page {
    Rows rows;                  // in the order they were recorded
    std::uint64_t last = 0;     // number of the last attempt examined; the next page begins after it
    std::uint64_t dropped = 0;  // recorded after `after`, but dropped before this page was read
  };

  // Somebody who follows the feed for long. It holds one of a few places while it lives, and nothing else: what it does
  // not read in time is dropped for it, and counted.
  static constexpr int kMaxFollowers = 16;
  class Follower {
   public:
    Follower(const AttemptFeed& feed, Filter filter, std::uint64_t after);
    ~Follower();
    Follower(const Follower&) = delete;
    Page next(std::size_t limit);  // as after(); whoever has all gets an empty page
    std::uint64_t position() const { return position_; }

   private:
    const AttemptFeed& feed_;
    const Filter filter_;
    std::uint64_t position_;
  };
  // Null: all places are taken.
  std::unique_ptr<Follower> follow(const Filter& filter, std::uint64_t after) const;

  explicit AttemptFeed(std::size_t kept = kDefaultKept) : kept_(kept) {}
  AttemptFeed(const AttemptFeed&) = delete;

  void hear(const OutcomeRecorded& fact);  // ignores outcomes without an attempt
  // The attempts after number `after`, oldest first. A page may hold fewer than `limit`, because each call examines a
  // bounded number.
  Page after(std::uint64_t after, const Filter& filter, std::size_t limit) const;
  // The latest `limit` attempts.
  Page latest(const Filter& filter, std::size_t limit) const;

 private:
  static bool matches(const RecordedAttempt& recorded, const Filter& filter);
  std::uint64_t first() const OUTBOXD_REQUIRES(mutex_) {
    return last_ - recorded_.size() + 1;
  }  // number of the oldest one kept

  const std::size_t kept_;
  mutable std::atomic<int> followers_{0};
  mutable Mutex mutex_;
  std::deque<std::shared_ptr<const RecordedAttempt>> recorded_ OUTBOXD_GUARDED_BY(mutex_);
  std::uint64_t last_ OUTBOXD_GUARDED_BY(mutex_) = 0;  // number of the newest one
};

}  // namespace outboxd::api
