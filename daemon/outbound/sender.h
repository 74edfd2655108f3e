// The interface that sends HTTP requests: one request in, one result out. HttpSender implements it; a simulation has a
// sender of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/attempt.h"
#include "common/event.h"
#include "outbound/address_policy.h"
#include "outbound/destination.h"
#include "outbound/request_headers.h"

namespace outboxd {

struct SendRequest {
  std::shared_ptr<const Destination> to;
  RequestHeaders headers;  // besides those of the destination
  std::shared_ptr<const std::string> body;
  Millis timeout{20'000};  // for the whole request: resolve, connect, send, response headers
  Millis connect_timeout{5'000};
  // Only tells whether the request would be sent: URL, addresses and TLS files are checked as for any request, but
  // nothing is sent. kSuccess: it would be, as far as is known.
  bool preflight = false;
  // abort() ends all requests of one group.
  std::int64_t group = 0;

  // Why its headers must not be sent (RequestHeaders), "" if they may.
  const std::string& refusal() const {
    return to->headers.refusal().empty() ? headers.refusal() : to->headers.refusal();
  }
};

struct SendResult {
  Outcome outcome = Outcome::kConnect;
  int status = 0;
  std::string error;        // for people; empty on success
  std::string denial = {};  // with kBlocked: what was denied and what would allow it; only for operators
  AttemptTimings timings;
  std::vector<HeaderField> response_headers;  // bounded (attempt.h)
  std::string response_body;                  // bounded
  std::optional<std::string> retry_after;     // the header's raw value
  std::string remote_address;                 // as in Attempt
  // Of the certificate that the receiver showed when its connection was made; absent: no TLS, or nothing was sent.
  std::optional<Time> certificate_expires_at = {};
  bool resent = false;   // as in Attempt
  bool aborted = false;  // abort() ended it: the result is unknown, do not record it
};

class Sender {  // every call on one thread
 public:
  using Done = std::function<void(SendResult)>;

  virtual ~Sender() = default;
  // `done` is called exactly once, later (never from inside send()), on the same thread.
  virtual void send(SendRequest request, Done done) = 0;
  // Starts the requests that send() has gathered; otherwise they start in the loop's next round. May call a `done`.
  virtual void flush() = 0;
  // Applies from the next request on, also on connections that are already open.
  virtual void set_policy(const std::shared_ptr<const AddressPolicy>& policy) = 0;
  // Call each `done` of the group, or of all, with `aborted` set.
  virtual void abort(std::int64_t group) = 0;
  virtual void abort_all() = 0;
};

}  // namespace outboxd
