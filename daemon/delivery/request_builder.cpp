#include "delivery/request_builder.h"

#include <algorithm>

#include "common/cloud_event.h"
#include "common/json.h"
#include "common/text.h"

namespace outboxd {
namespace {

// One signature and a type of usual length; more take more.
constexpr std::size_t kUsualHeaderBytes = 320;

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

using Body = std::shared_ptr<const std::string>;  // null: it would be too large

// A payload that is no JSON has no values for a template.
Body templated(const BodyTemplate& wanted, const Event& event) {
  const auto payload = JsonTree::parse(event.payload);
  auto body = wanted.render(payload ? &*payload : nullptr, kMaxTemplatedBody);
  return body ? std::make_shared<const std::string>(std::move(*body)) : nullptr;
}

Body body_of(const Endpoint& endpoint, const std::shared_ptr<const Event>& event) {
  if (endpoint.body_template) return templated(*endpoint.body_template, *event);
  switch (endpoint.format) {
    case PayloadFormat::kStandard:
      return std::make_shared<const std::string>(standard_body(*event));
    case PayloadFormat::kCloudEvents:
      return std::make_shared<const std::string>(write_cloud_event(*event));
    case PayloadFormat::kRaw:
      break;
  }
  return {event, &event->payload};  // shared, not copied
}

// Of every body that the endpoint gets; absent: that of the event.
std::optional<std::string_view> content_type_of(const Endpoint& endpoint) {
  if (endpoint.content_type) return *endpoint.content_type;
  if (endpoint.body_template || endpoint.format == PayloadFormat::kStandard) return "application/json";
  if (endpoint.format == PayloadFormat::kCloudEvents) return "application/cloudevents+json";
  return std::nullopt;
}

// Same trace, new span (W3C Trace Context): of version-trace-parent-flags the third field is replaced by ours.
std::string child_traceparent(const std::string& traceparent, std::string_view span_id) {
  constexpr std::size_t kSpanAt = 36;
  std::string child = traceparent;
  child.replace(kSpanAt, span_id.size(), span_id);
  return child;
}

void add_own(Target& target, RequestHeaders& headers, const HeaderField& field) {
  headers.add_extra(field.name, field.value);
  target.own_headers.push_back(field.name);
}

// Those that are the same in each request.
RequestHeaders constant_headers(Target& target, const RequestDefaults& defaults) {
  const Endpoint& endpoint = *target.endpoint;
  target.own_headers.reserve(endpoint.headers.size() + 1 + endpoint.signatures.size());
  RequestHeaders headers;
  if (const auto type = content_type_of(endpoint)) headers.add("content-type", *type);
  headers.add("user-agent", defaults.user_agent);
  for (const HeaderField& field : endpoint.headers) add_own(target, headers, field);
  if (endpoint.auth) add_own(target, headers, header_of(*endpoint.auth));
  for (const LegacySigner& signer : target.signers) target.own_headers.push_back(signer.header());
  return headers;
}

// By each key that is still valid; "" if there is none.
std::string signatures_of(const Target& target, Time now, std::string_view id, std::int64_t timestamp,
                          std::string_view body) {
  std::string signatures;
  for (const auto& [key, expires_at] : target.keys) {
    if (!expires_at || now < *expires_at) append_signature(signatures, key, id, timestamp, body);
  }
  return signatures;
}

// An endpoint's header wins over the event's of the same name, because the subscriber set it up.
void add_headers_of_event(RequestHeaders& headers, const Target& target, const Event& event) {
  for (const HeaderField& field : event.headers) {
    const bool taken = std::ranges::any_of(
        target.own_headers, [&](const std::string& own) { return ascii_iequals(own, field.name); });
    if (!taken) headers.add_extra(field.name, field.value);
  }
}

}  // namespace

Result<Target> make_target(EndpointPtr endpoint, const RequestDefaults& defaults) {
  auto url = parse_endpoint_url(endpoint->url);
  if (!url) return tl::unexpected(url.error());
  Target target{.endpoint = std::move(endpoint), .to = nullptr};
  const Endpoint& its = *target.endpoint;
  target.keys.reserve(its.secrets.size());
  for (const EndpointSecret& secret : its.secrets) {
    auto key = SigningKey::parse(secret.text);
    if (!key) return tl::unexpected(key.error());
    target.keys.push_back({std::move(*key), secret.expires_at});
  }
  target.signers.reserve(its.signatures.size());
  for (const LegacySignature& signature : its.signatures) target.signers.emplace_back(signature);
  target.timeout = its.timeout.value_or(defaults.timeout);
  target.connect_timeout = std::min(target.timeout, defaults.connect_timeout);
  std::shared_ptr<const EndpointTls> tls;
  if (!its.tls.empty()) tls = {target.endpoint, &its.tls};
  target.to = std::make_shared<const Destination>(std::move(*url), constant_headers(target, defaults),
                                                  std::move(tls));
  return target;
}

SendRequest build_request(const Target& target, const std::shared_ptr<const Event>& event, int number,
                          Time now, std::string_view span_id) {
  const Endpoint& endpoint = *target.endpoint;
  Body body = body_of(endpoint, event);
  if (!body) return {};
  const std::string id = event->id.to_string();
  const std::int64_t timestamp = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();

  SendRequest request;
  request.to = target.to;
  request.timeout = target.timeout;
  request.connect_timeout = target.connect_timeout;
  RequestHeaders& headers = request.headers;
  headers.reserve(kUsualHeaderBytes);
  if (!content_type_of(endpoint)) headers.add("content-type", event->content_type);
  headers.add("webhook-id", id);
  headers.add("webhook-timestamp", std::to_string(timestamp));
  const std::string signatures = signatures_of(target, now, id, timestamp, *body);
  if (!signatures.empty()) headers.add("webhook-signature", signatures);
  headers.add("outboxd-event-type", event->type);
  headers.add("outboxd-attempt", std::to_string(number));
  // Events are numbered in the order accepted, so along each key it grows. That of a test has no number: it comes in no
  // order, and a receiver that remembers the last number would take it for an old one.
  if (event->seq > 0 && sequence_key_of(endpoint.ordering, event->ordering_key))
    headers.add("outboxd-sequence", std::to_string(event->seq));
  if (event->traceparent && is_traceparent(*event->traceparent))  // the row may have been edited by hand
    headers.add("traceparent", child_traceparent(*event->traceparent, span_id));
  for (const LegacySigner& signer : target.signers) {
    const HeaderField field = signer.sign(id, timestamp, *body);
    headers.add_extra(field.name, field.value);
  }
  add_headers_of_event(headers, target, *event);
  request.body = std::move(body);
  return request;
}

}  // namespace outboxd
