// /v1/types: the event types that were seen, and how many endpoints want each.
#include "api/handling.h"
#include "api/query.h"
#include "api/routes.h"

namespace outboxd::api {
namespace {

constexpr int kMaxReads = 4;               // of a page of types, for one answer
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

bool is_unmatched(const Json& row) {
  return row.at("endpoints") == 0;
}

// With `unmatched`, what is left of some pages of all types: a page may be short, or empty, and still have a next one.
Result<Answer> list_types(Context& context, const Request& request) {
  Query query(request, context.clock.wall());
  const EventTypeFilter filter{query.tenant()};
  const bool unmatched = query.flag("unmatched");
  Page page = query.page();
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  const auto reader = context.readers.lend();
  Json data = Json::array();
  const auto limit = static_cast<std::size_t>(page.limit);
  for (int read = 1;; ++read) {
    page.limit = static_cast<int>(limit - data.size());
    auto rows = reader->event_types(filter, page);
    if (!rows) return tl::unexpected(rows.error());
    for (const auto& row : rows->rows) {
      Json json = json_of_row(context.directory, row);
      if (!unmatched || is_unmatched(json)) data.push_back(std::move(json));
    }
    if (!rows->next || data.size() == limit || read == kMaxReads)
      return list_answer(std::move(data), rows->next);
    page.after = *rows->next;
  }
}

}  // namespace

std::vector<Route> type_routes(Context& context) {
  return {
      {"GET", "/v1/types", Access::kView,
       answering(context, list_types, {"tenant", "unmatched", "limit", "cursor"})},
  };
}

}  // namespace outboxd::api
