// Bodies of POST /v1/events: what is accepted keeps to the documented limits, a payload is a range of the body's own bytes, and nlohmann
// reads the same events in it.   first byte: JSON or NDJSON, with or without an Idempotency-Key header; then the body
#include "ingest/event_parser.h"

#include "common/json.h"
#include "common/json_span.h"
#include "common/media_type.h"
#include "common/text.h"
#include "fuzz/json_reference.h"
#include "fuzz/target.h"
#include "ingest/event_rules.h"

using namespace outboxd;

namespace {

const EventLimits kLimits{.event_bytes = 4096, .batch_events = 8};

void check_draft(const EventDraft& draft, std::string_view body) {
  const Event& event = draft.event;
  HOLDS(is_event_type(event.type) && is_tenant(event.tenant) && event.tenant != kOpsTenant);
  HOLDS(!is_json_type(event.content_type) || is_json(event.payload));
  HOLDS(is_media_type(event.content_type) && event.priority >= 0 && event.priority <= 9);
  HOLDS(!event.ordering_key || is_key(*event.ordering_key));
  HOLDS(!draft.idempotency_key || is_key(*draft.idempotency_key));
  HOLDS(event.headers.size() <= kMaxExtraHeaders && event.payload.size() <= kLimits.event_bytes);
  for (const auto& header : event.headers) HOLDS(!why_header_refused(header.name, header.value));
  HOLDS(!draft.delay || (*draft.delay >= Millis(0) && *draft.delay <= kMaxEventDelay));
  HOLDS(!draft.ttl || (*draft.ttl > Millis(0) && *draft.ttl <= kMaxEventDelay));
  HOLDS(!event.deliver_at || !event.expires_at || *event.deliver_at < *event.expires_at);
  const bool as_given = body.find(event.payload) != std::string_view::npos;
  if (!as_given)
    HOLDS(body.find("ayload_base64") != std::string_view::npos || body.find("\\u") != std::string_view::npos);
  HOLDS(content_digest(draft).size() == 32 && content_digest(draft) == content_digest(EventDraft(draft)));
  HOLDS(Json::parse(dump(to_json(event)), nullptr, false).is_object());
}

void check_against(const nlohmann::json& reference, const EventDraft& draft) {
  HOLDS(reference.is_object() && reference.value("type", "") == draft.event.type);
  HOLDS(reference.value("tenant", "") == draft.event.tenant);
  HOLDS(reference.value("priority", kDefaultPriority) == draft.event.priority);
  if (reference.contains("payload"))
    HOLDS(nlohmann::json::parse(draft.event.payload, nullptr, false) == reference["payload"]);
  if (reference.contains("headers")) HOLDS(reference["headers"].size() == draft.event.headers.size());
}

}  // namespace

FUZZ_TARGET(input) {
  if (input.empty()) return;
  const auto kind = (input[0] & 1) != 0 ? EventBody::kNdjson : EventBody::kJson;
  const auto key = (input[0] & 2) != 0 ? std::optional<std::string>("key of the header") : std::nullopt;
  const auto body = input.substr(1);
  const auto drafts = parse_events(kind, body, key, kLimits);
  if (!drafts) {
    const Problem& problem = drafts.error();
    HOLDS(kind_of(problem.code).status >= 400 && kind_of(problem.code).status < 500 &&
          problem.errors.size() <= 100);
    const auto shown = Json::parse(dump(to_json(problem)), nullptr, false);
    HOLDS(shown.is_object() && is_valid_utf8(problem.detail));
    for (const auto& error : problem.errors)
      HOLDS(is_valid_utf8(error.pointer) && is_valid_utf8(error.detail));
    if (problem.code == ProblemCode::kMalformed && kind == EventBody::kJson)
      HOLDS(fuzz::agrees_with_nlohmann(body, false));
    return;
  }
  HOLDS(!drafts->empty() && drafts->size() <= kLimits.batch_events);
  for (const auto& draft : *drafts) check_draft(draft, body);
  if (kind == EventBody::kNdjson) return;
  HOLDS(fuzz::agrees_with_nlohmann(body, true));
  const auto reference = nlohmann::json::parse(body, nullptr, false);
  if (reference.is_array()) {
    HOLDS(reference.size() == drafts->size());
    for (std::size_t i = 0; i < drafts->size(); ++i) check_against(reference[i], (*drafts)[i]);
  } else if (!reference.is_discarded()) {
    HOLDS(drafts->size() == 1);
    check_against(reference, drafts->front());
    HOLDS(!key || drafts->front().idempotency_key == key);
  }
}
