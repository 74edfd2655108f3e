#include "api/routes.h"

#include "api/handling.h"
#include "migrations/embedded.h"

namespace outboxd::api {
namespace {

Result<Answer> show_openapi(Context&, const Request&) {
  return Answer{200, "application/json", std::string(embedded::openapi().front().text), {}};
}

}  // namespace

std::vector<Route> openapi_routes(Context& context) {
  return {{"GET", "/openapi.json", Access::kOpen, answering(context, show_openapi)}};
}

}  // namespace outboxd::api
