// The JSON form of what is secret about an endpoint's requests; the rest of an endpoint is in json.h.
#pragma once

#include <vector>

#include "common/json.h"

namespace outboxd {

// Without the secret, null stands in its place, and keeps the stored one when it is sent back.
Json to_json(const EndpointAuth& auth, bool with_secret);
Json to_json(const std::vector<LegacySignature>& signatures, bool with_secrets);

}  // namespace outboxd
