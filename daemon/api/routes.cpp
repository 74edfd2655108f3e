#include "api/routes.h"

#include <iterator>

namespace outboxd::api {

std::vector<Route> all_routes(Context& context) {
  std::vector<Route> all;
  for (const auto routes :
       {event_routes, type_routes, endpoint_routes, endpoint_list_routes, endpoint_secret_routes,
        delivery_routes, batch_routes, outbox_routes, source_routes, attempt_routes, failure_routes,
        operation_routes, setup_routes, audit_routes, openapi_routes, session_routes, dashboard_routes}) {
    auto some = routes(context);
    std::move(some.begin(), some.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace outboxd::api
