// What an attempt's outcome means for its delivery, and for the endpoint's other deliveries. Pure: this is
// the one place where a retry is decided.
//
//   2xx                       delivered
//   410                       dead (gone), and the endpoint is disabled
//   refused by address policy dead (blocked)
//   anything else             pending again after the schedule's next wait (±10 %), or dead (exhausted) at
//   its end,
//                             or dead (expired) when that would be too late
//   429, 502, 503, 504        besides, the whole lane slows down: for Retry-After if given, else for a while
//   that doubles
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/attempt.h"
#include "common/delivery.h"
#include "common/time.h"

namespace outboxd {

// The waits before the 1st, 2nd … attempt; its length is the number of attempts. CONTRACT.md, section 3.
std::vector<Millis> default_retry_schedule();

inline constexpr Millis kLongestRetryAfter = std::chrono::hours(24);
inline constexpr Millis kFirstSlowdown = std::chrono::seconds(1);
inline constexpr Millis kLongestSlowdown = std::chrono::minutes(1);

struct AttemptFacts {
  Outcome outcome = Outcome::kConnect;
  int status = 0;
  std::optional<std::string> retry_after;  // the header's value as it came
  int attempts_made = 1;                   // this one included, since creation or replay
  std::optional<Time> expires_at;
};

struct Verdict {
  DeliveryState state = DeliveryState::kPending;
  std::optional<DeadReason> reason;
  Time due_at{};                  // with kPending
  std::optional<Time> hold_lane;  // send nothing to this endpoint before
  bool disable_endpoint = false;
};

// `jitter` in [-1, 1] is scaled to ±10 %; `slowdowns` counts the lane's slow-down answers in a row before
// this one.
Verdict judge(const AttemptFacts& facts, std::span<const Millis> schedule, Time now, double jitter,
              int slowdowns);

// Retry-After of RFC 9110 10.2.3: seconds, or an HTTP date in any of its three forms. Never negative, at most
// kLongestRetryAfter.
std::optional<Millis> parse_retry_after(std::string_view value, Time now);

}  // namespace outboxd
