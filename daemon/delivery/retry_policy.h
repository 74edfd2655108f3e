// What an attempt's outcome means for its delivery and for the endpoint's other deliveries. Pure: the only place where
// a retry is decided.
//
//   2xx                        delivered
//   410                        dead (gone), and the endpoint is disabled
//   anything else              pending again after the schedule's next wait (±10 %), or dead: (exhausted) at the end
//                              of the schedule, or (blocked) there if the address policy refused the last attempt;
//                              (expired) if the next attempt would come too late; (skipped) at once if the
//                              deliveries behind it in order must not wait
//   429, 502, 503, 504         in addition, the whole lane pauses: for Retry-After if given, otherwise as
//                              EndpointHealth decides
//
// The answer may come from a receiver that is no longer the endpoint's (its URL or a secret was changed meanwhile).
// Then a 410 is a failure like any other, because the next attempt goes elsewhere, and nothing slows down.
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
  std::optional<std::string> retry_after;  // the header's raw value
  int attempts_made = 1;                   // including this one; since creation or replay
  std::optional<Time> expires_at;
  bool skip_on_failure = false;
  bool by_former_receiver = false;
};

struct Verdict {
  DeliveryState state = DeliveryState::kPending;
  std::optional<DeadReason> reason;
  Millis due_in{0};                   // with kPending
  bool slow_down = false;             // the endpoint asks for fewer requests
  std::optional<Millis> asked_pause;  // how long it asks for no requests at all
  bool gone = false;                  // it asks for no requests ever again
};

// `jitter` lies in [-1, 1] and is scaled to ±10 %.
Verdict evaluate_attempt(const AttemptFacts& facts, std::span<const Millis> schedule, Time now,
                         double jitter);

// The outcome, without an attempt, of a delivery that has expired, is not due yet by its deliver_at, or whose event is
// damaged or erased. Absent: it may be attempted.
std::optional<RecordOutcome> outcome_without_attempt(const DueDelivery& delivery, Time now);

// Retry-After of RFC 9110 10.2.3: seconds, or an HTTP date in any of its three forms. Never negative, at most
// kMaxRetryAfter.
std::optional<Millis> parse_retry_after(std::string_view value, Time now);

}  // namespace outboxd
