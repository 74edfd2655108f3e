// A lane: the scheduler's view of one endpoint. It holds a small window of deliveries that are due, and knows
// when the next one on disk is; the rest of the backlog stays there.
//
//   disk_due   the earliest moment at which something may be due on disk that is not in memory. In the future
//   (or never): the
//              lane is caught up, and a fresh delivery may go straight into the window. Reached: fetch.
//   held       every delivery of this lane in memory: in the window, being sent, or being recorded. What a
//   fetch brings is compared
//              with it, for on disk all of them are still pending.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/endpoint.h"
#include "store/store.h"

namespace outboxd {

inline constexpr Time kNever = Time::max();
inline constexpr Time kAtOnce = Time::min();

enum class Stage { kWaiting, kSending, kRecording };

struct Held {
  DueDelivery delivery;
  Stage stage = Stage::kWaiting;
  Time due_again = kNever;  // with kRecording: when it is due again once that is committed
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
  EndpointPtr endpoint;
  bool removed = false;
  bool active = true;

  std::unordered_map<EventSeq, Held> held;
  std::set<WindowOrder> window;  // those of `held` that wait
  int sending = 0;

  Time disk_due = kAtOnce;
  bool fetching = false;
  Time missed_due = kNever;  // while fetching: due on disk, and the fetch may not have seen it
  std::vector<DueDelivery>
      arrivals;  // while fetching: fresh ones, admitted if the fetch finds nothing else left
  std::unordered_set<EventSeq> released;  // while fetching: left `held` after the fetch may have read them

  Time hold_until = kAtOnce;  // the endpoint asked us to slow down
  int slowdowns = 0;          // such answers in a row
  double allowance = 5;       // how many requests at a time it has earned, see Scheduler::learn
  int failures = 0;           // attempts failed in a row
  std::string last_error;

  bool dirty = false;  // to be considered at the next next()
  bool queued_to_send = false;
  bool queued_to_fetch = false;
  std::optional<Time> wake_at;  // its entry in the scheduler's wake-ups
};

}  // namespace outboxd
