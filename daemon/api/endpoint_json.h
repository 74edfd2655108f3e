// An endpoint as the caller may see it.
#pragma once

#include "api/exchange.h"
#include "common/json.h"

namespace outboxd::api {

// A header may carry a password, so only those who may see secrets see the values.
Json json_for(const Request& request, const Endpoint& endpoint);

}  // namespace outboxd::api
