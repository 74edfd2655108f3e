// The JSON form of the domain types, shared by the API and the CLI. Writing cannot fail; a refused read gives the JSON
// Pointer of each bad field. Names and formats are those of daemon/api/openapi.json.
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

// Keeps the order in which members are written, so that answers read as they were designed.
using Json = nlohmann::ordered_json;

// Text from outside (such as a subscriber's response) may not be valid UTF-8: bad bytes become U+FFFD, so that dump()
// never throws.
std::string valid_utf8(std::string_view text);
std::string dump(const Json& json);

// "; got \"abc\"", "; got 7", "; got an object": added to an error to show the value that was found instead.
std::string got(const Json& value);

Json to_json(const Problem& problem);
Json to_json(const Event& event);        // without the payload
Json to_json(const Endpoint& endpoint);  // without the secrets
Json to_json(const EndpointTls& tls);
Json to_json(const Delivery& delivery, const EventId& event, const EndpointId& endpoint,
             std::string_view event_type);
Json to_json(const Attempt& attempt);

// An endpoint as a request describes it. `base` is the stored endpoint for PATCH, a default Endpoint for POST; id, seq
// and times stay as in `base`. A `secret` in the body replaces base.secrets by that one secret, whose created_at the
// caller sets. Unknown fields, wrong types and values out of range are all reported (up to a limit), not just the
// first.
Result<Endpoint> endpoint_from_json(const Json& body, const Endpoint& base);

// Shared with the validation of settings that hold a retry schedule.
Result<std::vector<Millis>> parse_retry_schedule(std::span<const std::string> waits);

}  // namespace outboxd
