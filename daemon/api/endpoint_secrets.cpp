// /v1/endpoints/{id}/secrets: what is secret about an endpoint, and new signing secrets.
#include "api/endpoint_change.h"
#include "api/endpoint_reference.h"
#include "api/handling.h"
#include "api/query.h"
#include "api/routes.h"
#include "common/json_shape.h"
#include "common/signature.h"
#include "common/words.h"
#include "telemetry/log.h"

namespace outboxd::api {
namespace {

constexpr Millis kDefaultOverlap = std::chrono::hours(24);
constexpr Millis kMaxOverlap = std::chrono::hours(24 * 30);
constexpr std::size_t kHintLength = 4;

Json json_of_secret(const EndpointSecret& secret, bool reveal) {
  const std::string_view text = secret.text;
  const auto key = SigningKey::parse(text);
  const bool asymmetric = key && key->asymmetric();
  Json json = Json::object();
  if (reveal) json["secret"] = text;
  json["hint"] = std::string(text.substr(0, text.find('_') + 1)) + "…" +
                 std::string(text.substr(text.size() - kHintLength));
  json["kind"] = asymmetric ? "v1a" : "v1";
  json["public_key"] = asymmetric ? Json(key->public_key()) : Json(nullptr);
  json["created_at"] = format_time(secret.created_at);
  json["expires_at"] = secret.expires_at ? Json(format_time(*secret.expires_at)) : Json(nullptr);
  return json;
}

Result<Answer> list_secrets(Context& context, const Request& request) {
  const Time now = context.clock.wall();
  Query query(request, now);
  const bool reveal = query.flag("reveal");
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  const auto endpoint = endpoint_of_path(context, request);
  if (!endpoint) return tl::unexpected(endpoint.error());
  if (reveal)
    log::info("endpoint secrets revealed", {{"endpoint", (*endpoint)->id.to_string()}, {"by", request.peer}});
  Json data = Json::array();
  for (const auto& secret : (*endpoint)->secrets) {
    if (!secret.expires_at || *secret.expires_at > now) data.push_back(json_of_secret(secret, reveal));
  }
  const auto& auth = (*endpoint)->auth;
  return secret_answer(200, Json{{"data", std::move(data)},
                                 {"auth", auth ? to_json(*auth, reveal) : Json(nullptr)},
                                 {"signatures", to_json((*endpoint)->signatures, reveal)}});
}

struct Rotation {
  std::string secret;
  Millis overlap = kDefaultOverlap;
};

Result<Rotation> read_rotation(const Request& request, const Endpoint& endpoint) {
  const auto body = action_body(request, {"overlap", "secret"});
  if (!body) return tl::unexpected(body.error());
  const auto overlap = text_member(*body, "overlap");
  if (!overlap) return tl::unexpected(overlap.error());
  const auto secret = text_member(*body, "secret");
  if (!secret) return tl::unexpected(secret.error());
  Rotation rotation;
  if (*overlap) {
    const auto duration = parse_duration(**overlap);
    if (!duration || *duration > kMaxOverlap)
      return invalid_parameter(
          "/overlap", "must be a duration such as \"24h\", at most 30d; got " + in_quotes(**overlap));
    rotation.overlap = *duration;
  }
  if (*secret) {
    const auto key = SigningKey::parse(**secret);
    if (!key) return invalid_parameter("/secret", key.error().detail);
    rotation.secret = **secret;
    return rotation;
  }
  const auto current =
      endpoint.secrets.empty() ? std::string_view() : std::string_view(endpoint.secrets.front().text);
  if (current.starts_with("whsk_"))
    return invalid_parameter("/secret",
                             "is required: the endpoint signs with v1a, and only v1 secrets are made here");
  rotation.secret = SigningKey::generate();
  return rotation;
}

void rotate_secret(Context& context, const ExchangePtr& exchange) {
  const auto endpoint = endpoint_of_path(context, exchange->request());
  if (!endpoint) return exchange->respond(endpoint.error());
  const auto rotation = read_rotation(exchange->request(), **endpoint);
  if (!rotation) return exchange->respond(rotation.error());
  const Time now = context.clock.wall();
  const auto merge = [rotation = *rotation, now](const Endpoint& base) {
    return with_new_secret(base, rotation.secret, now, rotation.overlap);
  };
  const auto done = [exchange, rotation = *rotation, now](const Result<EndpointPtr>& result) {
    exchange->respond_with([result, rotation, now](const Request& request) -> Result<Answer> {
      if (!result) return tl::unexpected(result.error());
      log::info("endpoint secret rotated", {{"endpoint", (*result)->id.to_string()}, {"by", request.peer}});
      return secret_answer(200, Json{{"secret", rotation.secret},
                                     {"expires_previous_at", format_time(now + rotation.overlap)}});
    });
  };
  change_endpoint(context, (*endpoint)->id, merge, done);
}

}  // namespace

std::vector<Route> endpoint_secret_routes(Context& context) {
  return {
      {"GET", "/v1/endpoints/{id}/secrets", Access::kAdmin, answering(context, list_secrets, {"reveal"})},
      {"POST", "/v1/endpoints/{id}/secrets/rotate", Access::kAdmin, deferring(context, rotate_secret)},
  };
}

}  // namespace outboxd::api
