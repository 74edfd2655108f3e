// An endpoint as JSON: what is accepted keeps to the limits, and its own JSON is accepted again as the same endpoint.
#include "common/endpoint_url.h"
#include "common/json.h"
#include "common/signature.h"
#include "common/text.h"
#include "fuzz/target.h"

using namespace outboxd;

namespace {

void check_limits(const Endpoint& e) {
  const auto url = parse_endpoint_url(e.url);
  HOLDS(url && url->text == e.url);
  HOLDS(is_tenant(e.tenant) && !e.types.empty() && e.types.size() <= kMaxEndpointTypes);
  for (const auto& type : e.types) HOLDS(is_type_pattern(type));
  HOLDS(e.name.size() <= std::size_t{4} * 128 && escape_control(e.name) == e.name);
  HOLDS(e.secrets.size() <= 1 && (e.secrets.empty() || SigningKey::parse(e.secrets[0].text)));
  HOLDS(e.headers.size() <= kMaxExtraHeaders);
  for (const auto& header : e.headers) HOLDS(!why_header_refused(header.name, header.value));
  HOLDS(!e.timeout || (*e.timeout >= Millis(100) && *e.timeout <= std::chrono::minutes(5)));
  if (e.retry_schedule) {
    HOLDS(!e.retry_schedule->empty() && e.retry_schedule->size() <= kMaxRetrySchedule);
    for (const auto wait : *e.retry_schedule) HOLDS(wait >= Millis(0) && wait <= std::chrono::days(30));
  }
  HOLDS(!e.max_in_flight || (*e.max_in_flight >= 1 && *e.max_in_flight <= 1000));
  HOLDS(!e.rate_limit || (e.rate_limit->count >= 1 && e.rate_limit->count <= kMaxRate));
  HOLDS(e.metadata.size() <= 4096 && Json::parse(e.metadata, nullptr, false).is_object());
}

// As a client would send back what it was shown.
Json writable(const Endpoint& e) {
  Json json = to_json(e);
  for (const auto* name : {"id", "disabled_reason", "failing_since", "created_at", "updated_at"})
    json.erase(name);
  return json;
}

}  // namespace

FUZZ_TARGET(input) {
  const Json body = Json::parse(input, nullptr, false);
  if (body.is_discarded()) return;
  for (const bool creates : {true, false}) {
    Endpoint base;
    if (!creates) base.url = "https://example.com/hook";
    const auto endpoint = endpoint_from_json(body, base);
    if (!endpoint) {
      HOLDS(endpoint.error().code == ProblemCode::kInvalidEndpoint && !endpoint.error().errors.empty());
      HOLDS(endpoint.error().errors.size() <= 65);  // 64, and that the URL is missing
      HOLDS(Json::parse(dump(to_json(endpoint.error())), nullptr, false).is_object());
      continue;
    }
    check_limits(*endpoint);
    const Json shown = writable(*endpoint);
    const auto again = endpoint_from_json(Json::parse(dump(shown)), Endpoint{});
    HOLDS(again && writable(*again) == shown);
    HOLDS(again->retry_schedule == endpoint->retry_schedule && again->rate_limit == endpoint->rate_limit);
  }
}
