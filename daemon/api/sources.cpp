// GET /v1/sources: the applications' databases whose outboxes are relayed.
#include "api/handling.h"
#include "api/routes.h"
#include "common/text.h"

namespace outboxd::api {
namespace {

Json time_or_null(const std::optional<Time>& time) {
  return time ? Json(format_time(*time)) : Json(nullptr);
}

Json json_of(const SourceStatus& source) {
  return {{"name", source.name},
          {"url", valid_utf8(source.url)},
          {"state", to_string(source.state)},
          {"error", source.error.empty() ? Json(nullptr) : Json(valid_utf8(source.error))},
          {"since", format_time(source.since)},
          {"relayed", source.relayed},
          {"last_relayed_at", time_or_null(source.last_relayed_at)},
          {"waiting", source.counts.waiting},
          {"waiting_since", time_or_null(source.behind_since)},
          {"rejected", source.counts.rejected}};
}

// There are so few that they are one page.
Result<Answer> list_sources(Context& context, const Request&) {
  Json rows = Json::array();
  for (const SourceStatus& source : context.sources()) rows.push_back(json_of(source));
  return json_answer(200, Json{{"data", std::move(rows)}, {"next_cursor", nullptr}});
}

}  // namespace

std::vector<Route> source_routes(Context& context) {
  return {{"GET", "/v1/sources", Access::kViewAll, answering(context, list_sources)}};
}

}  // namespace outboxd::api
