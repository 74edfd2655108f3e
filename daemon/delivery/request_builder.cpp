#include "delivery/request_builder.h"

#include <algorithm>

#include "common/cloud_event.h"
#include "common/json.h"
#include "common/text.h"

namespace outboxd {
namespace {

void add_text(std::string& json, std::string_view name, std::string_view value) {
  json.append("\"").append(name).append("\":").append(dump(Json(std::string(value)))).append(",");
}

std::string standard_body(const Event& event) {
  std::string json = "{";
  add_text(json, "type", event.type);
  add_text(json, "timestamp", format_time(event.created_at));
  append_data(json, event);
  json += '}';
  return json;
}

struct Content {
  std::shared_ptr<const std::string> body;  // null: it would be too large
  std::string type;
};

// A payload that is no JSON has no values for a template.
Content templated(const BodyTemplate& wanted, const Event& event) {
  const auto payload = JsonTree::parse(event.payload);
  auto body = wanted.render(payload ? &*payload : nullptr, kMaxTemplatedBody);
  return {body ? std::make_shared<const std::string>(std::move(*body)) : nullptr, "application/json"};
}

Content content_of(const Endpoint& endpoint, const std::shared_ptr<const Event>& event) {
  if (endpoint.body_template) return templated(*endpoint.body_template, *event);
  switch (endpoint.format) {
    case PayloadFormat::kStandard:
      return {std::make_shared<const std::string>(standard_body(*event)), "application/json"};
    case PayloadFormat::kCloudEvents:
      return {std::make_shared<const std::string>(write_cloud_event(*event)), "application/cloudevents+json"};
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
  Content content = content_of(endpoint, event);
  if (!content.body) return {};
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
  headers.reserve(9);
  headers.push_back({"content-type", endpoint.content_type.value_or(std::move(content.type))});
  headers.push_back({"user-agent", defaults.user_agent});
  headers.push_back({"webhook-id", id});
  headers.push_back({"webhook-timestamp", std::to_string(timestamp)});
  if (!keys.empty()) headers.push_back({"webhook-signature", sign_all(keys, id, timestamp, *content.body)});
  headers.push_back({"outboxd-event-type", event->type});
  headers.push_back({"outboxd-attempt", std::to_string(number)});
  // Events are numbered in the order accepted, so along each key it grows. That of a test has no number: it comes in no
  // order, and a receiver that remembers the last number would take it for an old one.
  if (event->seq > 0 && sequence_key_of(endpoint.ordering, event->ordering_key))
    headers.push_back({"outboxd-sequence", std::to_string(event->seq)});
  if (event->traceparent && is_traceparent(*event->traceparent))  // the row may have been edited by hand
    headers.push_back({"traceparent", child_traceparent(*event->traceparent, span_id)});
  // An endpoint's header wins over the event's of the same name, because the subscriber set it up.
  auto& extra = request.extra_headers;
  extra = endpoint.headers;
  if (endpoint.auth) extra.push_back(header_of(*endpoint.auth));
  for (const LegacySignature& signature : endpoint.signatures)
    extra.push_back(sign(signature, id, timestamp, *content.body));
  const std::size_t own = extra.size();
  for (const HeaderField& field : event->headers) {
    const bool taken =
        std::any_of(extra.begin(), extra.begin() + static_cast<std::ptrdiff_t>(own),
                    [&](const HeaderField& other) { return ascii_iequals(other.name, field.name); });
    if (!taken) extra.push_back(field);
  }
  request.body = std::move(content.body);
  return request;
}

}  // namespace outboxd
