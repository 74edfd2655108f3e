#include "api/endpoint_json.h"

namespace outboxd::api {
namespace {

constexpr const char* kHidden = "…";

}  // namespace

Json json_for(const Request& request, const Endpoint& endpoint) {
  Json json = to_json(endpoint);
  if (request.scope == Scope::kAdmin) return json;
  for (auto& value : json["headers"]) value = kHidden;
  return json;
}

}  // namespace outboxd::api
