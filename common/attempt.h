// An attempt: one HTTP request of a delivery, and what came of it. It is recorded as it was, by the endpoint as it was when
// the request left.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/event.h"
#include "common/id.h"
#include "common/time.h"

namespace outboxd {

// The classes of outcome, also the values of the metric label `outcome`.
enum class Outcome {
  kSuccess,
  kHttp4xx,
  kHttp5xx,
  kRedirect,
  kTimeout,
  kConnect,
  kDns,
  kTls,
  kBlocked,
  kProtocol
};
std::string_view to_string(Outcome);  // "success", "http_4xx" ...
std::optional<Outcome> parse_outcome(std::string_view);

inline constexpr std::size_t kMaxStoredResponseBody = 4096;
inline constexpr std::size_t kMaxStoredResponseHeaders = 4096;

// Durations from the start of the attempt, absent when that stage was not reached. A reused connection has no
// dns, connect and tls stage of its own: they are zero.
struct AttemptTimings {
  std::optional<Millis> dns, connect, tls, first_byte;
  Millis total{0};
  bool operator==(const AttemptTimings&) const = default;
};

struct Attempt {
  AttemptId id;
  int number = 0;  // 1 for the first; goes on counting over replays
  Time started_at{};
  AttemptTimings timings;
  Outcome outcome = Outcome::kConnect;
  int status = 0;            // HTTP status, 0 if none came
  std::string error;         // for people: "connection refused", "certificate expired"; empty after a success
  std::string request_line;  // "POST https://example.com/hook"
  // What was connected to, "203.0.113.7:443" or "[2001:db8::1]:443": the proxy where there is one. Empty: no connection
  // came about, or the address policy stopped the request.
  std::string remote_address = {};
  // It was on the wire twice: the first time on a kept connection, which ended before any byte of a response; then on a new
  // one, which is the one that all else is told of.
  bool resent = false;
  std::vector<HeaderField> response_headers;  // bounded, may be cut
  std::string response_body;                  // first kMaxStoredResponseBody bytes
};

}  // namespace outboxd
