// Makes the body of POST /v1/events from what `event send` was given. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/event.h"

namespace outboxd::ctl {

struct EventFields {
  std::string type;
  std::string data;  // the payload's bytes
  std::optional<std::string> tenant, ordering_key, idempotency_key, delay, ttl, content_type;
  std::optional<int> priority;
  std::vector<HeaderField> headers;
};

// Without a content type, or with a JSON one, `data` must be JSON and is spliced in as it is, except for the white
// space around it, which is not part of the value. With another content type its bytes are sent as base64. Throws
// Failure (usage) for data that should be JSON and is not.
std::string event_body(const EventFields& fields);

}  // namespace outboxd::ctl
