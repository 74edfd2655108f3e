// Builds the HTTP request that carries a delivery, following Standard Webhooks. Pure, and the only place that builds a
// request, for attempts and tests alike.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/endpoint.h"
#include "common/signature.h"
#include "outbound/sender.h"

namespace outboxd {

struct RequestDefaults {
  Millis timeout = std::chrono::seconds(20);
  Millis connect_timeout = std::chrono::seconds(5);
  std::string user_agent = {};
};

// An endpoint, prepared once: its URL parsed, its secrets ready to sign, and of its requests whatever is the same in each.
struct Target {
  struct Key {
    SigningKey key;
    std::optional<Time> expires_at;
  };
  EndpointPtr endpoint;
  std::shared_ptr<const Destination> to;
  std::vector<Key> keys = {};
  std::vector<LegacySigner> signers = {};
  Millis timeout{0};
  Millis connect_timeout{0};
  std::vector<std::string> own_headers = {};  // names of those that the endpoint sets
};
// Refuses an endpoint that registration would not have accepted (its row was edited by hand).
Result<Target> make_target(EndpointPtr endpoint, const RequestDefaults& defaults);

// The body that an endpoint's template makes of an event may have at most so many bytes.
inline constexpr std::size_t kMaxTemplatedBody = std::size_t{64} << 20;

// Without a body (null) if its template makes one that is too large: then it must not be sent, and holds nothing else.
//
// `number` is that of the attempt (1 for the first). `now` is the time signed and decides which secrets are still
// valid. `span_id` is 16 hex digits, used if the event has a traceparent.
SendRequest build_request(const Target& target, const std::shared_ptr<const Event>& event, int number,
                          Time now, std::string_view span_id);

}  // namespace outboxd
