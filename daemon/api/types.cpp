// /v1/types: the event types that were seen, and how many endpoints want each.
#include "api/handling.h"
#include "api/query.h"
#include "api/routes.h"

namespace outboxd::api {
namespace {

constexpr std::string_view kOthers = "*";  // types beyond those that are counted by name

Json json_of_row(const EndpointDirectory& directory, const EventTypeRow& row) {
  Json endpoints(nullptr);
  if (row.type != kOthers) endpoints = directory.match(row.tenant, row.type).endpoints->size();
  return {{"tenant", row.tenant},
          {"type", row.type},
          {"events", row.events},
          {"last_at", format_time(row.last_at)},
          {"endpoints", std::move(endpoints)}};
}

Result<Answer> list_types(Context& context, const Request& request) {
  Query query(request, context.clock.wall());
  const EventTypeFilter filter{query.tenant()};
  const Page page = query.page();
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  const auto rows = context.readers.lend()->event_types(filter, page);
  if (!rows) return tl::unexpected(rows.error());
  Json data = Json::array();
  for (const auto& row : rows->rows) data.push_back(json_of_row(context.directory, row));
  return list_answer(std::move(data), rows->next);
}

}  // namespace

std::vector<Route> type_routes(Context& context) {
  return {
      {"GET", "/v1/types", Access::kView, answering(context, list_types, {"tenant", "limit", "cursor"})},
  };
}

}  // namespace outboxd::api
