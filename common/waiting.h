// What a pending delivery waits for.
#pragma once

#include <optional>
#include <string_view>

#include "common/time.h"

namespace outboxd {

enum class WaitingFor {
  kDue,         // its next attempt, by its schedule
  kSlot,        // its turn: requests of its endpoint, or of all, are under way
  kBreaker,     // its endpoint fails: until the pause is over, and then for the probe
  kRetryAfter,  // the time that its endpoint asked for
  kRateLimit,   // its endpoint's rate limit
  kOrder,       // the deliveries before it, in their order
  kPaused,      // somebody to resume its endpoint
  kDisabled     // somebody to enable its endpoint
};
inline constexpr int kWaitingFors = 8;

std::string_view to_string(WaitingFor);  // "due", "slot", ...: the words of the API
std::optional<WaitingFor> parse_waiting_for(std::string_view);

struct Waiting {
  WaitingFor what = WaitingFor::kSlot;
  std::optional<Time> until;  // absent: for no set time
  bool operator==(const Waiting&) const = default;
};

}  // namespace outboxd
