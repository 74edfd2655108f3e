// An attempt: one HTTP request of a delivery and its result. It records the endpoint as it was when the request left,
// whatever has changed since.
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

// Durations since the start of the attempt; absent if that stage was not reached. On a reused connection there is no
// dns, connect or tls stage: these are zero.
struct AttemptTimings {
  std::optional<Millis> dns, connect, tls, first_byte;
  Millis total{0};
  bool operator==(const AttemptTimings&) const = default;
};

struct Attempt {
  AttemptId id;
  int number = 0;  // the first is 1; a replay does not restart the count
  Time started_at{};
  AttemptTimings timings;
  Outcome outcome = Outcome::kConnect;
  int status = 0;            // HTTP status, 0 if none came
  std::string error;         // for people: "connection refused", "certificate expired"; empty after a success
  std::string request_line;  // "POST https://example.com/hook"
  // The peer, as "203.0.113.7:443" or "[2001:db8::1]:443"; the proxy's address when one is used. Empty when no
  // connection was made or the address policy stopped the request.
  std::string remote_address = {};
  // The request was sent twice: first on a kept-alive connection that closed before any byte of a response, then on a
  // new one. Every other field describes the second.
  bool resent = false;
  std::vector<HeaderField> response_headers;  // bounded, may be cut
  std::string response_body;                  // first kMaxStoredResponseBody bytes
};

}  // namespace outboxd
