// A lane: the scheduler's view of one endpoint. It holds a small window of deliveries that are due, and knows
// when the next one on disk is; the rest of the backlog stays there.
//
//   disk_due   the earliest moment at which something may be due on disk that is not in memory, by the monotonic
//              clock: the store tells waits, not times. In the future (or never): the lane is caught up, and a fresh
//              delivery may go straight into the window. Reached: fetch.
//   held       every delivery of this lane in memory: in the window, being sent, or being recorded. What a
//              fetch brings is compared with it, for on disk all of them are still pending.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/endpoint.h"
#include "delivery/endpoint_health.h"
#include "delivery/rate_limit.h"
#include "delivery/ready_queue.h"
#include "store/reads.h"

namespace outboxd {

inline constexpr MonotonicTime kNever = MonotonicTime::max();
inline constexpr MonotonicTime kAtOnce = MonotonicTime::min();

enum class Stage : unsigned char { kWaiting, kSending, kRecording };

struct Held {
  DueDelivery delivery;
  Stage stage = Stage::kWaiting;
  bool probe = false;     // with kSending
  bool overdue = false;   // with kSending: for longer than a good answer takes
  bool has_turn = false;  // those with its sequence key wait for it
  bool expiring = false;  // with kRecording: its time was found to be over on disk
  // With kSending: to what is not the endpoint's receiver any more. Its outcome counts for the delivery alone.
  bool to_former_receiver = false;
  MonotonicTime sent_at{};
};

// The order of the window: higher priority first, then the earlier due, then the earlier accepted.
struct WindowOrder {
  int priority;
  Time due_at;
  EventSeq event;
  bool operator<(const WindowOrder& other) const {
    if (priority != other.priority) return priority > other.priority;
    if (due_at != other.due_at) return due_at < other.due_at;
    return event < other.event;
  }
};

struct Lane {
  // A read of the backlog that is under way, and what happens meanwhile.
  struct Fetch {
    MonotonicTime missed_due = kNever;      // due on disk, and the read may not have seen it
    std::vector<DueDelivery> arrivals;      // fresh ones, admitted if it finds nothing else left
    std::unordered_set<EventSeq> released;  // left `held` after it may have read them
  };
  // What is delivered in order: the keys that have a delivery being sent or recorded, and those that wait for
  // it.
  struct Order {
    std::unordered_map<std::string, std::set<EventSeq>> waiting_for;
  };

  EndpointPtr endpoint;
  bool leaving = false;  // removed, or owned by another daemon now: it goes with the last delivery it holds
  bool active = true;

  std::unordered_map<EventSeq, Held> held;
  std::set<WindowOrder> window;  // those of `held` that wait, but for those in `order`
  std::unique_ptr<Order> order;  // when there ever was a delivery with an sequence key
  std::unique_ptr<Fetch> fetch;  // while one is under way
  int sending = 0;
  int overdue = 0;  // of those
  unsigned turns = 0;

  MonotonicTime disk_due = kAtOnce;
  EndpointHealth health;
  std::optional<RateBucket> rate;
  std::string last_error;
  bool refused = false;  // by the address policy, the last time

  ServiceClass service_class = ServiceClass::kUnproven;  // as counted: see Scheduler::classify
  bool dirty = false;                                    // to be considered at the next next()
  ReadyQueue::Place to_send, to_fetch;
  std::optional<MonotonicTime> wake_at;  // its entry in the scheduler's wake-ups

  // Nothing is sent before.
  MonotonicTime opens_at() const {
    return rate ? std::max(health.paused_until(), rate->ready_at()) : health.paused_until();
  }
};

}  // namespace outboxd
