// What an attempt's outcome means for its delivery, and for the endpoint's other deliveries. Pure: this is
// the one place where a retry is decided.
//
//   2xx                        delivered
//   410                        dead (gone), and the endpoint is disabled
//   anything else              pending again after the schedule's next wait (±10 %), or dead: (exhausted) at its
//                              end, or (blocked) when the address policy refused the last attempt; (expired) when
//                              that would be too late; (skipped) at once where those behind it in order shall not
//                              wait
//   429, 502, 503, 504         besides, the whole lane pauses: for Retry-After if given, else as EndpointHealth
//                              has it
//
// What answered may not be the endpoint's receiver any more (its URL was changed meanwhile, or a secret). Then a 410 is a
// failure like any other, for the next attempt goes elsewhere, and nothing slows down.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/attempt.h"
#include "common/delivery.h"
#include "common/time.h"
#include "store/reads.h"

namespace outboxd {

inline constexpr Millis kMaxRetryAfter = std::chrono::hours(24);

struct AttemptFacts {
  Outcome outcome = Outcome::kConnect;
  int status = 0;
  std::optional<std::string> retry_after;  // the header's value as it came
  int attempts_made = 1;                   // this one included, since creation or replay
  std::optional<Time> expires_at;
  bool skip_on_failure = false;
  bool by_former_receiver = false;
};

struct Verdict {
  DeliveryState state = DeliveryState::kPending;
  std::optional<DeadReason> reason;
  Millis due_in{0};                   // with kPending
  bool slow_down = false;             // the endpoint asks for fewer requests
  std::optional<Millis> asked_pause;  // and for none at all for so long
  bool gone = false;                  // it asks for none ever
};

// `jitter` in [-1, 1] is scaled to ±10 %.
Verdict evaluate_attempt(const AttemptFacts& facts, std::span<const Millis> schedule, Time now,
                         double jitter);

// What becomes, without an attempt, of a delivery whose time is over or has not come, or whose event is damaged; absent:
// it may be attempted.
std::optional<RecordOutcome> outcome_without_attempt(const DueDelivery& delivery, Time now);

// Retry-After of RFC 9110 10.2.3: seconds, or an HTTP date in any of its three forms. Never negative, at most
// kMaxRetryAfter.
std::optional<Millis> parse_retry_after(std::string_view value, Time now);

}  // namespace outboxd
