// GET /v1/attempts: what has been attempted, as it is recorded, for those who follow it page by page.
#include "api/endpoint_reference.h"
#include "api/handling.h"
#include "api/query.h"
#include "api/routes.h"
#include "common/text.h"

namespace outboxd::api {
namespace {

// A position in the feed. Numbering starts anew with each start of the daemon, so `run` says which start it was.
struct Place {
  std::int64_t run = 0;
  std::uint64_t number = 0;
};

std::int64_t run_of(const Context& context) {
  return unix_millis(context.started_at);
}

// "a1790000000000-17"
std::string write_cursor(const Place& place) {
  return "a" + std::to_string(place.run) + '-' + std::to_string(place.number);
}

std::optional<Place> read_cursor(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (!text.starts_with('a') || dash == std::string_view::npos) return std::nullopt;
  const auto run = parse_int(text.substr(1, dash - 1));
  const auto number = parse_int(text.substr(dash + 1));
  if (!run || !number || *run < 0 || *number < 0) return std::nullopt;
  return Place{*run, static_cast<std::uint64_t>(*number)};
}

Json json_of(const Context& context, const RecordedAttempt& recorded) {
  const Attempt& attempt = recorded.attempt;
  return {{"id", attempt.id.to_string()},
          {"delivery", recorded.delivery.to_string()},
          {"event", recorded.event.to_string()},
          {"endpoint", recorded.endpoint.to_string()},
          {"endpoint_name", name_of(context.directory, recorded.endpoint)},
          {"type", recorded.type},
          {"number", attempt.number},
          {"started_at", format_time(attempt.started_at)},
          {"recorded_at", format_time(recorded.recorded_at)},
          {"total_ms", attempt.timings.total.count()},
          {"remote_address", attempt.remote_address.empty() ? Json(nullptr) : Json(attempt.remote_address)},
          {"outcome", to_string(attempt.outcome)},
          {"status", attempt.status == 0 ? Json(nullptr) : Json(attempt.status)},
          {"error", attempt.error.empty() ? Json(nullptr) : Json(valid_utf8(attempt.error))},
          {"state", to_string(recorded.state)},
          {"reason", recorded.reason ? Json(to_string(*recorded.reason)) : Json(nullptr)},
          {"due_at", recorded.due_at ? Json(format_time(*recorded.due_at)) : Json(nullptr)}};
}

Result<Answer> list_attempts(Context& context, const Request& request) {
  Query query(request, context.clock.wall());
  const AttemptFeed::Filter filter{endpoint_parameter(context.directory, query, "endpoint"),
                                   query.flag("failed"), query.tenant()};
  const auto from = query.parsed("cursor", read_cursor, "`next_cursor` of an earlier answer");
  const auto limit = static_cast<std::size_t>(query.page().limit);
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  const std::int64_t run = run_of(context);
  const bool restarted = from && from->run != run;
  const auto page = from ? context.attempts.after(restarted ? 0 : from->number, filter, limit)
                         : context.attempts.latest(filter, limit);
  Json data = Json::array();
  for (const auto& recorded : page.rows) data.push_back(json_of(context, *recorded));
  return json_answer(200, Json{{"data", std::move(data)},
                               {"next_cursor", write_cursor({run, page.last})},
                               {"dropped", restarted ? Json(nullptr) : Json(page.dropped)}});
}

}  // namespace

std::vector<Route> attempt_routes(Context& context) {
  return {{"GET", "/v1/attempts", Access::kView,
           answering(context, list_attempts, {"endpoint", "failed", "tenant", "limit", "cursor"})}};
}

}  // namespace outboxd::api
