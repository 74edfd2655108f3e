// GET /v1/audit: what operators changed since the daemon started.
#include "api/audit_log.h"
#include "api/handling.h"
#include "api/query.h"
#include "api/routes.h"
#include "common/text.h"

namespace outboxd::api {
namespace {

// There are no pages: all that is kept fits into one answer.
std::optional<std::size_t> parse_limit(std::string_view text) {
  const auto number = parse_int(text);
  if (!number || *number < 1 || *number > std::int64_t{AuditLog::kMaxEntries}) return std::nullopt;
  return static_cast<std::size_t>(*number);
}

Result<Answer> list_changes(Context& context, const Request& request) {
  Query query(request, context.clock.wall());
  const auto limit =
      query.parsed("limit", parse_limit, "a number from 1 to " + std::to_string(AuditLog::kMaxEntries));
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  Json data = Json::array();
  for (const AuditEntry& entry : context.audit->newest(limit.value_or(kDefaultPageLimit))) {
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
