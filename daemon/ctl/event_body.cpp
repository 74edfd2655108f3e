#include "ctl/event_body.h"

#include "common/json_span.h"
#include "common/text.h"
#include "ctl/failure.h"
#include "ctl/input.h"
#include "ctl/json_text.h"

namespace outboxd::ctl {

std::string event_body(const EventFields& fields) {
  ObjectText body;
  body.add("type", fields.type);
  const bool wants_json = !fields.content_type || is_json_type(*fields.content_type);
  if (!wants_json) {
    body.add("payload_base64", base64_encode(fields.data));
  } else if (is_json(fields.data)) {
    body.add_raw("payload", trim(fields.data));
  } else {
    throw Failure(
        kExitUsage,
        "--data: the payload is not JSON; give --content-type (text/plain, …) to send its bytes as they are");
  }
  body.add_if("content_type", fields.content_type);
  body.add_if("tenant", fields.tenant);
  body.add_if("ordering_key", fields.ordering_key);
  body.add_if("idempotency_key", fields.idempotency_key);
  body.add_if("delay", fields.delay);
  body.add_if("ttl", fields.ttl);
  body.add_if("priority", fields.priority);
  if (!fields.headers.empty()) {
    Json headers = Json::object();
    for (const HeaderField& field : fields.headers) headers[field.name] = field.value;
    body.add("headers", headers);
  }
  return body.text();
}

}  // namespace outboxd::ctl
