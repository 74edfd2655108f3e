#include "ingest/cloud_event_draft.h"

#include <algorithm>
#include <array>

#include "common/media_type.h"
#include "common/text.h"
#include "common/words.h"
#include "ingest/event_rules.h"

namespace outboxd {
namespace {

constexpr std::string_view kOwnPrefix = "outboxd", kTenant = "outboxdtenant", kOrderingKey = "partitionkey";

void refuse_unknown(const CloudEvent& event, const ReportFault& report) {
  for (const CloudEventAttribute& attribute : event.attributes) {
    if (!attribute.name.starts_with(kOwnPrefix) || attribute.name == kTenant) continue;
    report(attribute.name,
           "is not an attribute that outboxd knows: of those that begin with outboxd there is only " +
               std::string(kTenant));
  }
}

}  // namespace

std::string idempotency_key_of(std::string_view source, std::string_view id) {
  std::string key = std::string(source) + ' ' + std::string(id);
  return key.size() <= kMaxKeyLength ? key : "sha256:" + hex_encode(sha256(key));
}

EventDraft draft_of(CloudEvent cloud_event, const EventLimits& limits, const ReportFault& report) {
  EventDraft draft;
  Event& event = draft.event;
  // What is missing has been reported.
  const auto take = [&](std::string_view name, const auto& set) {
    if (const std::string* text = cloud_event.find(name)) set(*text);
  };
  take("type", [&](const std::string& type) {
    if (!is_event_type(type)) {
      report("type", std::string(kEventTypeRule) + "; got " + in_quotes(type));
    } else if (limits.types) {
      if (auto why = why_type_refused(type, *limits.types)) report("type", std::move(*why));
    }
    event.type = type;
  });
  take(kTenant, [&](const std::string& tenant) {
    if (const auto wrong = why_tenant_refused(tenant); !wrong.empty())
      report(kTenant, std::string(wrong) + "; got " + in_quotes(tenant));
    event.tenant = tenant;
  });
  take(kOrderingKey, [&](const std::string& key) {
    if (!is_key(key)) report(kOrderingKey, std::string(kKeyRule) + ": it is the ordering key");
    event.ordering_key = key;
  });
  take("traceparent", [&](const std::string& trace) {
    if (is_traceparent(trace)) event.traceparent = trace;
  });
  take("source", [&](const std::string& source) {
    take("id", [&](const std::string& id) { draft.idempotency_key = idempotency_key_of(source, id); });
  });
  refuse_unknown(cloud_event, report);
  if (!is_media_type(cloud_event.content_type)) report("datacontenttype", std::string(kMediaTypeRule));
  event.cloud_event = cloud_event.context();
  event.content_type = std::move(cloud_event.content_type);
  event.payload = std::move(cloud_event.data);
  event.json_checked = true;
  return draft;
}

}  // namespace outboxd
