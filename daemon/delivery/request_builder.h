// Builds the HTTP request that carries a delivery, following Standard Webhooks. Pure, and the only place that builds a
// request, for attempts and tests alike.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/endpoint.h"
#include "common/endpoint_url.h"
#include "common/signature.h"
#include "outbound/http_sender.h"

namespace outboxd {

// An endpoint, prepared once: its URL parsed and its secrets ready to sign.
struct Target {
  struct Key {
    SigningKey key;
    std::optional<Time> expires_at;
  };
  EndpointPtr endpoint;
  EndpointUrl url;
  std::shared_ptr<const EndpointTls> tls;  // the endpoint's own; null: none
  std::vector<Key> keys;
};
// Refuses an endpoint that registration would not have accepted (its row was edited by hand).
Result<Target> make_target(EndpointPtr endpoint);

struct RequestDefaults {
  Millis timeout = std::chrono::seconds(20);
  Millis connect_timeout = std::chrono::seconds(5);
  std::string user_agent;
};

// The body that an endpoint's template makes of an event may have at most so many bytes.
inline constexpr std::size_t kMaxTemplatedBody = std::size_t{64} << 20;

// Without a body (null) if its template makes one that is too large: then it must not be sent, and holds nothing else.
//
// `number` is that of the attempt (1 for the first). `now` is the time signed and decides which secrets are still
// valid. `span_id` is 16 hex digits, used if the event has a traceparent.
SendRequest build_request(const Target& target, const std::shared_ptr<const Event>& event, int number,
                          Time now, std::string_view span_id, const RequestDefaults& defaults);

}  // namespace outboxd
