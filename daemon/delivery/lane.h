// A lane: the scheduler's view of one endpoint. It holds a small window of due deliveries and knows when the next one
// on disk is due; the rest of the backlog stays on disk.
//
//   disk_due   the earliest time at which a delivery that is only on disk may be due. On the monotonic clock, because
//              the store reports waits, not times. If it lies in the future (or never), the lane is caught up and a
//              fresh delivery may go straight into the window; once it is reached, the lane fetches.
//   held       every delivery of this lane in memory: in the window, being sent, or being recorded. On disk all of
//              them are still pending, so whatever a fetch brings is compared with them.
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
  bool overdue = false;   // under way for longer than a good answer takes
  bool has_turn = false;  // deliveries with the same sequence key wait for it
  bool expiring = false;  // found on disk to have expired
  // With kSending: it went to a receiver that is no longer the endpoint's, so its outcome counts only for the delivery.
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

struct LastFailure {
  std::string error;  // for people: what went wrong, or the outcome's class
  int status = 0;     // 0: there was no answer
  Time at{};          // when it came in
};

struct Lane {
  // A read of the backlog under way, and what happens meanwhile.
  struct Fetch {
    MonotonicTime missed_due = kNever;      // something is due on disk then, and the read may have missed it
    std::vector<DueDelivery> arrivals;      // fresh deliveries, admitted if the read leaves nothing on disk
    std::unordered_set<EventSeq> released;  // left `held` after the read may have seen them
  };
  // Deliveries in order: the sequence keys with a delivery being sent or recorded, and the deliveries that wait for it.
  struct Order {
    std::unordered_map<std::string, std::set<EventSeq>> waiting_for;
  };

  EndpointPtr endpoint;
  bool leaving = false;  // removed, or now owned by another daemon: deleted with the last delivery it holds
  bool active = true;

  std::unordered_map<EventSeq, Held> held;
  std::set<WindowOrder> window;  // the waiting ones of `held`, except those in `order`
  std::unique_ptr<Order> order;  // once it has had a delivery with a sequence key
  std::unique_ptr<Fetch> fetch;  // while one is under way
  int sending = 0;
  int overdue = 0;  // of the ones sending
  unsigned turns = 0;

  MonotonicTime disk_due = kAtOnce;
  EndpointHealth health;
  std::optional<RateBucket> rate;
  std::optional<LastFailure> last_failure;
  bool refused = false;  // the address policy refused the last request

  ServiceClass service_class = ServiceClass::kUnproven;  // it is counted in: see Scheduler::classify
  bool dirty = false;                                    // to be considered by the next next()
  ReadyQueue::Place to_send, to_fetch;
  std::optional<MonotonicTime> wake_at;  // its entry in Scheduler::wakes_

  // Nothing is sent before this time.
  MonotonicTime opens_at() const {
    return rate ? std::max(health.paused_until(), rate->ready_at()) : health.paused_until();
  }
};

}  // namespace outboxd
