// Rows of the SQL outbox: no column can become another field of the event, and the payload keeps its bytes.
//   type, payload, content_type, headers, tenant, ordering_key, idempotency_key, deliver_at, expires_at, traceparent, priority
#include "ingest/outbox_row.h"

#include "common/json_span.h"
#include "common/text.h"
#include "fuzz/target.h"
#include "ingest/event_rules.h"

using namespace outboxd;

FUZZ_TARGET(input) {
  fuzz::Parts parts(input);
  OutboxRow row;
  row.type = parts.next();
  row.payload = parts.next();
  row.content_type = parts.optional();
  row.headers = parts.optional();
  row.tenant = parts.optional();
  row.ordering_key = parts.optional();
  row.idempotency_key = parts.optional();
  row.deliver_at = parts.optional();
  row.expires_at = parts.optional();
  row.traceparent = parts.optional();
  if (const auto priority = parts.optional()) row.priority = parse_int(*priority);

  const auto draft = draft_from_row(row, EventLimits{.event_bytes = 4096, .batch_events = 1000});
  if (!draft) {
    HOLDS(draft.error().code == ProblemCode::kInvalidEvent || draft.error().code == ProblemCode::kTooLarge);
    return;
  }
  const Event& event = draft->event;
  HOLDS(event.type == row.type && is_event_type(event.type));
  HOLDS(event.tenant == row.tenant.value_or("") && event.tenant != kOpsTenant);
  HOLDS(event.ordering_key == row.ordering_key && draft->idempotency_key == row.idempotency_key);
  HOLDS(event.priority == row.priority.value_or(kDefaultPriority));
  HOLDS(event.content_type == row.content_type.value_or("application/json"));
  HOLDS(event.payload == row.payload);
  HOLDS(!is_json_type(event.content_type) || is_json(event.payload));
  HOLDS(row.headers || event.headers.empty());
  HOLDS(event.deliver_at.has_value() == row.deliver_at.has_value());
  HOLDS(event.expires_at.has_value() == row.expires_at.has_value());
  HOLDS(!draft->delay && !draft->ttl);
  HOLDS(!event.traceparent || (event.traceparent == row.traceparent && is_traceparent(*event.traceparent)));
}
