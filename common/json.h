// The wire encoding of the domain types, shared by the API and the CLI. Writing cannot fail; reading refuses
// with the JSON Pointer of each bad field. Names and forms are those of
// daemon/api/openapi.json.
#pragma once

#include <span>
#include <string>

#include <nlohmann/json.hpp>

#include "common/attempt.h"
#include "common/delivery.h"
#include "common/endpoint.h"
#include "common/event.h"
#include "common/problem.h"

namespace outboxd {

using Json =
    nlohmann::ordered_json;  // keeps the order in which we write: answers read the way they were designed

// Text from outside (what a subscriber sent back) may be no UTF-8: bad bytes become U+FFFD, so that dumping
// never throws.
std::string valid_utf8(std::string_view text);
std::string dump(const Json& json);

// "; got \"abc\"", "; got 7", "; got an object": what stands where something else is expected.
std::string got(const Json& value);

Json to_json(const Problem& problem);
Json to_json(const Event& event);        // without the payload
Json to_json(const Endpoint& endpoint);  // without the secrets
Json to_json(const EndpointTls& tls);
Json to_json(const Delivery& delivery, const EventId& event, const EndpointId& endpoint,
             std::string_view event_type);
Json to_json(const Attempt& attempt);

// An endpoint as a request describes it. `base` is what PATCH changes, or a default Endpoint for POST; the
// answer has everything set but id, seq and times. A `secret` in the body replaces base.secrets by that one;
// its created_at is the caller's to set. Unknown fields, wrong types and values out of range are all
// reported, not just the first.
Result<Endpoint> endpoint_from_json(const Json& body, const Endpoint& base);

// Fields that take a retry schedule or headers share these (also used by the configuration).
Result<std::vector<Millis>> parse_retry_schedule(std::span<const std::string> waits);

}  // namespace outboxd
