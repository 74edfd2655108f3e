// GET /v1/audit: what operators changed since the daemon started.
#include "api/audit_log.h"
#include "api/handling.h"
#include "api/query.h"
#include "api/routes.h"

namespace outboxd::api {
namespace {

Result<Answer> list_changes(Context& context, const Request& request) {
  Query query(request, context.clock.wall());
  const Page page = query.page();
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  Json data = Json::array();
  for (const AuditEntry& entry : context.audit->newest(static_cast<std::size_t>(page.limit))) {
    data.push_back({{"at", format_time(entry.at)},
                    {"who", valid_utf8(entry.who)},
                    {"method", entry.method},
                    {"path", valid_utf8(entry.path)},
                    {"status", entry.status}});
  }
  return json_answer(200, Json{{"since", format_time(context.started_at)}, {"data", std::move(data)}});
}

}  // namespace

std::vector<Route> audit_routes(Context& context) {
  return {{"GET", "/v1/audit", Access::kViewAll, answering(context, list_changes, {"limit"})}};
}

}  // namespace outboxd::api
