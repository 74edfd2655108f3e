#include "delivery/request_builder.h"

#include <algorithm>

#include "common/json.h"
#include "common/json_span.h"
#include "common/text.h"

namespace outboxd {
namespace {

void add_text(std::string& json, std::string_view name, std::string_view value) {
  json.append("\"").append(name).append("\":").append(dump(Json(std::string(value)))).append(",");
}

// Appends the payload as the last member of an object. JSON is spliced in unchanged, so that its bytes survive in these
// formats too. A payload that nobody has checked is checked now, because a row of an earlier version may claim to be
// JSON without being it, and spliced bytes must never add members of their own.
void add_payload(std::string& json, const Event& event, std::string_view name) {
  json.append("\"").append(name);
  if (is_json_type(event.content_type) && (event.json_checked || is_json(event.payload))) {
    json.append("\":").append(event.payload);
  } else {
    json.append("_base64\":\"").append(base64_encode(event.payload)).append("\"");
  }
  json.append("}");
}

std::string standard_body(const Event& event) {
  std::string json = "{";
  add_text(json, "type", event.type);
  add_text(json, "timestamp", format_time(event.created_at));
  add_payload(json, event, "data");
  return json;
}

// CloudEvents 1.0, JSON format, structured mode.
std::string cloudevents_body(const Event& event) {
  std::string json = "{";
  add_text(json, "specversion", "1.0");
  add_text(json, "id", event.id.to_string());
  add_text(json, "source", event.tenant.empty() ? "/outboxd" : "/outboxd/" + event.tenant);
  add_text(json, "type", event.type);
  add_text(json, "time", format_time(event.created_at));
  add_text(json, "datacontenttype", event.content_type);
  add_payload(json, event, "data");
  return json;
}

struct Content {
  std::shared_ptr<const std::string> body;
  std::string type;
};

Content content_of(PayloadFormat format, const std::shared_ptr<const Event>& event) {
  switch (format) {
    case PayloadFormat::kStandard:
      return {std::make_shared<const std::string>(standard_body(*event)), "application/json"};
    case PayloadFormat::kCloudEvents:
      return {std::make_shared<const std::string>(cloudevents_body(*event)), "application/cloudevents+json"};
    case PayloadFormat::kRaw:
      break;
  }
  return {std::shared_ptr<const std::string>(event, &event->payload),
          event->content_type};  // shared, not copied
}

// Same trace, new span (W3C Trace Context): of version-trace-parent-flags the third field is replaced by ours.
std::string child_traceparent(const std::string& traceparent, std::string_view span_id) {
  constexpr std::size_t kSpanAt = 36;
  std::string child = traceparent;
  child.replace(kSpanAt, span_id.size(), span_id);
  return child;
}

}  // namespace

Result<Target> make_target(EndpointPtr endpoint) {
  auto url = parse_endpoint_url(endpoint->url);
  if (!url) return tl::unexpected(url.error());
  Target target{.endpoint = std::move(endpoint), .url = std::move(*url), .tls = nullptr, .keys = {}};
  if (!target.endpoint->tls.empty()) target.tls = {target.endpoint, &target.endpoint->tls};
  for (const EndpointSecret& secret : target.endpoint->secrets) {
    auto key = SigningKey::parse(secret.text);
    if (!key) return tl::unexpected(key.error());
    target.keys.push_back({std::move(*key), secret.expires_at});
  }
  return target;
}

SendRequest build_request(const Target& target, const std::shared_ptr<const Event>& event, int number,
                          Time now, std::string_view span_id, const RequestDefaults& defaults) {
  const Endpoint& endpoint = *target.endpoint;
  Content content = content_of(endpoint.format, event);
  const std::string id = event->id.to_string();
  const std::int64_t timestamp = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  std::vector<SigningKey> keys;
  for (const auto& [key, expires_at] : target.keys) {
    if (!expires_at || now < *expires_at) keys.push_back(key);
  }

  SendRequest request;
  request.url = target.url;
  request.tls = target.tls;
  request.timeout = endpoint.timeout.value_or(defaults.timeout);
  request.connect_timeout = std::min(request.timeout, defaults.connect_timeout);
  auto& headers = request.headers;
  headers.reserve(8);
  headers.push_back({"content-type", std::move(content.type)});
  headers.push_back({"user-agent", defaults.user_agent});
  headers.push_back({"webhook-id", id});
  headers.push_back({"webhook-timestamp", std::to_string(timestamp)});
  if (!keys.empty()) headers.push_back({"webhook-signature", sign_all(keys, id, timestamp, *content.body)});
  headers.push_back({"outboxd-event-type", event->type});
  headers.push_back({"outboxd-attempt", std::to_string(number)});
  if (event->traceparent && is_traceparent(*event->traceparent))  // the row may have been edited by hand
    headers.push_back({"traceparent", child_traceparent(*event->traceparent, span_id)});
  // An endpoint's header wins over the event's of the same name, because the subscriber set it up.
  request.extra_headers = endpoint.headers;
  for (const HeaderField& field : event->headers) {
    const bool taken = std::ranges::any_of(
        endpoint.headers, [&](const HeaderField& own) { return ascii_iequals(own.name, field.name); });
    if (!taken) request.extra_headers.push_back(field);
  }
  request.body = std::move(content.body);
  return request;
}

}  // namespace outboxd
