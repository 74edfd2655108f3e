#include "common/json.h"

#include "common/json_shape.h"
#include "common/text.h"
#include "common/words.h"

namespace outboxd {
namespace {

Json or_null(const std::optional<std::string>& text) {
  return text ? Json(*text) : Json(nullptr);
}
Json or_null(const std::optional<Time>& time) {
  return time ? Json(format_time(*time)) : Json(nullptr);
}
Json or_null(const std::optional<int>& number) {
  return number ? Json(*number) : Json(nullptr);
}
Json or_null(const std::optional<Millis>& d) {
  return d ? Json(format_duration(*d)) : Json(nullptr);
}
Json millis_or_null(const std::optional<Millis>& d) {
  return d ? Json(d->count()) : Json(nullptr);
}

Json header_object(const std::vector<HeaderField>& headers) {
  Json object = Json::object();
  for (const HeaderField& header : headers) object[header.name] = header.value;
  return object;
}

Json schedule_or_null(const std::optional<std::vector<Millis>>& schedule) {
  if (!schedule) return nullptr;
  Json waits = Json::array();
  for (const Millis wait : *schedule) waits.push_back(format_duration(wait));
  return waits;
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  if (is_valid_utf8(text)) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_sequence_length(text);
    out += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string got(const Json& value) {
  if (value.is_object()) return "; got an object";
  if (value.is_array()) return "; got an array";
  if (const auto* text = value.get_ptr<const std::string*>()) return "; got " + in_quotes(*text);
  return "; got " + dump(value);
}

Json to_json(const Problem& problem) {
  const ProblemKind& kind = kind_of(problem.code);
  Json json = {{"type", "/problems/" + std::string(kind.slug)},
               {"title", kind.title},
               {"status", kind.status},
               {"detail", problem.detail}};
  for (const FieldError& error : problem.errors) {
    json["errors"].push_back({{"pointer", error.pointer}, {"detail", error.detail}});
  }
  return json;
}

Json to_json(const Event& event) {
  return {{"id", event.id.to_string()},
          {"type", event.type},
          {"tenant", event.tenant},
          {"content_type", event.content_type},
          {"ordering_key", or_null(event.ordering_key)},
          {"priority", event.priority},
          {"headers", header_object(event.headers)},
          {"traceparent", or_null(event.traceparent)},
          {"created_at", format_time(event.created_at)},
          {"deliver_at", or_null(event.deliver_at)},
          {"expires_at", or_null(event.expires_at)}};
}

Json to_json(const EndpointTls& tls) {
  Json json = Json::object();
  if (!tls.ca_file.empty()) json["ca_file"] = tls.ca_file;
  if (!tls.client_cert.empty()) json["client_cert"] = tls.client_cert;
  if (!tls.client_key.empty()) json["client_key"] = tls.client_key;
  return json;
}

Json to_json(const EndpointAuth& auth, bool with_secret) {
  const Json secret = with_secret ? Json(auth.secret) : Json(nullptr);
  switch (auth.scheme) {
    case AuthScheme::kBearer:
      break;
    case AuthScheme::kBasic:
      return {{"basic", {{"user", auth.name}, {"password", secret}}}};
    case AuthScheme::kHeader:
      return {{"header", {{"name", auth.name}, {"value", secret}}}};
  }
  return {{"bearer", secret}};
}

// Only what may be given with the scheme, so that an answer can be sent back.
Json to_json(const std::vector<LegacySignature>& signatures, bool with_secrets) {
  Json list = Json::array();
  for (const LegacySignature& signature : signatures) {
    Json one = {{"scheme", to_string(signature.scheme)},
                {"secret", with_secrets ? Json(signature.secret) : Json(nullptr)}};
    if (signature.scheme != SignatureScheme::kGithub) one["header"] = signature.header;
    if (signature.scheme == SignatureScheme::kHmac) {
      one["algorithm"] = to_string(signature.algorithm);
      one["encoding"] = to_string(signature.encoding);
      one["prefix"] = signature.prefix;
      one["over"] = to_string(signature.over);
    }
    list.push_back(std::move(one));
  }
  return list;
}

Json to_json(const Endpoint& endpoint) {
  Json json = {
      {"id", endpoint.id.to_string()},
      {"url", endpoint.url},
      {"name", endpoint.name},
      {"tenant", endpoint.tenant},
      {"types", endpoint.types},
      {"filter", endpoint.filter ? Json::parse(endpoint.filter->text()) : Json(nullptr)},
      {"headers", header_object(endpoint.headers)},
      {"auth", endpoint.auth ? to_json(*endpoint.auth, false) : Json(nullptr)},
      {"signatures", to_json(endpoint.signatures, false)},
      {"format", to_string(endpoint.format)},
      {"body_template", endpoint.body_template ? Json(endpoint.body_template->text()) : Json(nullptr)},
      {"content_type", or_null(endpoint.content_type)},
      {"timeout", or_null(endpoint.timeout)},
      {"retry_schedule", schedule_or_null(endpoint.retry_schedule)},
      {"max_in_flight", or_null(endpoint.max_in_flight)},
      {"rate_limit", endpoint.rate_limit ? Json(to_string(*endpoint.rate_limit)) : Json(nullptr)},
      {"ordering", to_string(endpoint.ordering)},
      {"on_failure_in_order", to_string(endpoint.on_failure_in_order)},
      {"disable_after",
       endpoint.disable_after ? Json(format_duration(*endpoint.disable_after)) : Json("never")},
      {"state", to_string(endpoint.state)}};
  if (endpoint.state == EndpointState::kDisabled) json["disabled_reason"] = endpoint.disabled_reason;
  json["tls"] = endpoint.tls.empty() ? Json(nullptr) : to_json(endpoint.tls);
  json["failing_since"] = or_null(endpoint.failing_since);
  const Json metadata = Json::parse(endpoint.metadata, nullptr, false);
  json["metadata"] = metadata.is_object() ? metadata : Json::object();
  json["created_at"] = format_time(endpoint.created_at);
  json["updated_at"] = format_time(endpoint.updated_at);
  return json;
}

Json to_json(const Delivery& delivery, const EventId& event, const EndpointId& endpoint,
             std::string_view event_type) {
  const bool pending = delivery.state == DeliveryState::kPending;
  return {{"id", delivery.id().to_string()},
          {"event", event.to_string()},
          {"endpoint", endpoint.to_string()},
          {"type", event_type},
          {"state", to_string(delivery.state)},
          {"reason", delivery.reason ? Json(to_string(*delivery.reason)) : Json(nullptr)},
          {"attempts", delivery.attempts},
          {"due_at", pending ? Json(format_time(delivery.due_at)) : Json(nullptr)},
          {"error", or_null(delivery.error)},
          {"created_at", format_time(delivery.created_at)},
          {"finished_at", or_null(delivery.finished_at)}};
}

Json to_json(const Attempt& attempt) {
  Json headers = Json::array();
  for (const HeaderField& header : attempt.response_headers) {
    headers.push_back({{"name", valid_utf8(header.name)}, {"value", valid_utf8(header.value)}});
  }
  const AttemptTimings& timings = attempt.timings;
  return {{"id", attempt.id.to_string()},
          {"number", attempt.number},
          {"started_at", format_time(attempt.started_at)},
          {"timings",
           {{"dns_ms", millis_or_null(timings.dns)},
            {"connect_ms", millis_or_null(timings.connect)},
            {"tls_ms", millis_or_null(timings.tls)},
            {"first_byte_ms", millis_or_null(timings.first_byte)},
            {"total_ms", timings.total.count()}}},
          {"outcome", to_string(attempt.outcome)},
          {"status", attempt.status == 0 ? Json(nullptr) : Json(attempt.status)},
          {"error", attempt.error.empty() ? Json(nullptr) : Json(valid_utf8(attempt.error))},
          {"request_line", valid_utf8(attempt.request_line)},
          {"remote_address", attempt.remote_address.empty() ? Json(nullptr) : Json(attempt.remote_address)},
          {"resent", attempt.resent},
          {"response_headers", std::move(headers)},
          {"response_body", valid_utf8(attempt.response_body)},
          {"response_body_bytes", attempt.response_body.size()}};
}

}  // namespace outboxd
