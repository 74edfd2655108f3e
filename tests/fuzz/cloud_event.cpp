// CloudEvents in their three modes: what is accepted keeps to the rules, is what nlohmann reads there, and is the same event again
// once it has been written.   mode (one byte), body, content type, then headers as name:value
#include "common/cloud_event.h"

#include "common/json.h"
#include "common/media_type.h"
#include "common/text.h"
#include "fuzz/json_reference.h"
#include "fuzz/target.h"
#include "ingest/event_parser.h"
#include "ingest/event_rules.h"

using namespace outboxd;

namespace {

const EventLimits kLimits{.event_bytes = 4096, .batch_events = 8};

void check_refusal(const Problem& problem) {
  const int status = kind_of(problem.code).status;
  HOLDS(status >= 400 && status < 500 && problem.errors.size() <= 100);
  HOLDS(is_valid_utf8(problem.detail));
  for (const auto& error : problem.errors) HOLDS(is_valid_utf8(error.pointer) && is_valid_utf8(error.detail));
}

void check_attributes(const nlohmann::json& attributes) {
  HOLDS(attributes.is_object() && attributes.size() >= 4 && attributes.size() <= kMaxAttributes);
  for (const auto& [name, value] : attributes.items()) {
    HOLDS(!name.empty() && name != "data" &&
          name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") == std::string::npos);
    HOLDS(value.is_string() || value.is_boolean() || value.is_number_integer());
    if (value.is_number_integer())
      HOLDS(value.get<std::int64_t>() >= -2147483648 && value.get<std::int64_t>() <= 2147483647);
  }
  HOLDS(attributes["specversion"] == "1.0" && attributes["id"] != "" && attributes["source"] != "");
}

void check_draft(const EventDraft& draft) {
  const Event& event = draft.event;
  HOLDS(event.cloud_event && is_json(*event.cloud_event) && event.cloud_event->size() <= kMaxAttributeBytes);
  const auto attributes = nlohmann::json::parse(*event.cloud_event, nullptr, false);
  check_attributes(attributes);
  HOLDS(is_event_type(event.type) && attributes["type"] == event.type);
  HOLDS(is_tenant(event.tenant) && event.tenant != kOpsTenant &&
        attributes.value("outboxdtenant", "") == event.tenant);
  HOLDS(!event.ordering_key || is_key(*event.ordering_key));
  HOLDS(draft.idempotency_key && is_key(*draft.idempotency_key));
  HOLDS(is_media_type(event.content_type));
  HOLDS(!is_json_type(event.content_type) || is_json(event.payload));
}

// Its JSON form, read once more.
void check_written(const EventDraft& draft) {
  const std::string written = write_cloud_event(draft.event);
  const auto again = parse_events(EventBody::kCloudEvent, written, std::nullopt, EventLimits{});
  HOLDS(again.has_value());
  HOLDS(again->front().event.cloud_event == draft.event.cloud_event);
  HOLDS(again->front().event.payload == draft.event.payload);
  HOLDS(again->front().event.content_type == draft.event.content_type);
  HOLDS(content_digest(again->front()) == content_digest(draft));
}

void check_against(const nlohmann::json& reference, const EventDraft& draft) {
  HOLDS(reference.is_object());
  const auto attributes = nlohmann::json::parse(*draft.event.cloud_event, nullptr, false);
  for (const auto& [name, value] : reference.items()) {
    if (name == "data" || name == "data_base64" || name == "datacontenttype" || value.is_null()) continue;
    HOLDS(attributes.contains(name) && attributes[name] == value);
  }
  if (reference.contains("data") && is_json_type(draft.event.content_type))
    HOLDS(nlohmann::json::parse(draft.event.payload, nullptr, false) == reference["data"]);
}

}  // namespace

FUZZ_TARGET(input) {
  fuzz::Parts parts(input);
  const std::string_view mode = parts.next(), body = parts.next();
  const auto content_type = parts.optional();
  std::vector<HeaderField> headers;
  if (content_type) headers.push_back({"Content-Type", *content_type});
  while (!parts.empty()) {
    const auto header = parts.next();
    const auto name = header.substr(0, header.find(':'));
    headers.push_back(
        {std::string(name), std::string(header.substr(std::min(name.size() + 1, header.size())))});
  }
  const auto kind = mode == "s"   ? EventBody::kCloudEvent
                    : mode == "b" ? EventBody::kCloudEventBatch
                                  : EventBody::kBinaryCloudEvent;
  const auto drafts = kind == EventBody::kBinaryCloudEvent
                          ? parse_binary_cloud_event(headers, body, std::nullopt, kLimits)
                          : parse_events(kind, body, std::nullopt, kLimits);
  if (!drafts) return check_refusal(drafts.error());
  HOLDS(!drafts->empty() && drafts->size() <= kLimits.batch_events);
  for (const auto& draft : *drafts) {
    check_draft(draft);
    check_written(draft);
  }
  if (kind == EventBody::kBinaryCloudEvent) {
    HOLDS(body.empty() || drafts->front().event.payload == body);
    return;
  }
  const auto reference = nlohmann::json::parse(body, nullptr, false);
  if (reference.is_discarded()) return;  // see json_reference.h
  HOLDS(reference.is_array() == (kind == EventBody::kCloudEventBatch));
  if (!reference.is_array()) return check_against(reference, drafts->front());
  for (std::size_t i = 0; i < drafts->size(); ++i) check_against(reference[i], (*drafts)[i]);
}
