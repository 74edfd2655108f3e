// From a delivery to the HTTP request that carries it, as Standard Webhooks asks. Pure,
// and the only place that builds a request: attempts and tests alike.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/endpoint.h"
#include "common/endpoint_url.h"
#include "common/signature.h"
#include "outbound/http_sender.h"

namespace outboxd {

// An endpoint, read once: its URL parsed and its secrets ready to sign.
struct Target {
  struct Key {
    SigningKey key;
    std::optional<Time> expires_at;
  };
  EndpointPtr endpoint;
  EndpointUrl url;
  std::shared_ptr<const EndpointTls> tls;  // of the endpoint; null: none of its own
  std::vector<Key> keys;
};
// Refuses an endpoint that registration would not have let in (the row was edited by hand).
Result<Target> make_target(EndpointPtr endpoint);

struct RequestDefaults {
  Millis timeout = std::chrono::seconds(20);
  Millis connect_timeout = std::chrono::seconds(5);
  std::string user_agent;
};

// `number` is the attempt's (1 for the first); `now` signs and decides which secrets still live. `span_id` is
// 16 hex digits, used when the event came with a traceparent.
SendRequest build_request(const Target& target, const std::shared_ptr<const Event>& event, int number,
                          Time now, std::string_view span_id, const RequestDefaults& defaults);

}  // namespace outboxd
