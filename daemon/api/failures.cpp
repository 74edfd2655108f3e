// GET /v1/failures and GET /v1/series: what failed, and how it went, from the roll-up (store/rollup.h).
#include <algorithm>
#include <array>

#include "api/endpoint_reference.h"
#include "api/handling.h"
#include "api/query.h"
#include "api/routes.h"
#include "common/json.h"

namespace outboxd::api {
namespace {

constexpr Millis kDefaultAge = std::chrono::hours(24);
constexpr Millis kLongestStep = std::chrono::days(1);
constexpr std::int64_t kMaxPoints = 1500;

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(valid_utf8(text));
}
Json time_or_null(const std::optional<Time>& time) {
  return time ? Json(format_time(*time)) : Json(nullptr);
}
template <class Word>
Json word_or_null(const std::optional<Word>& word) {
  return word ? Json(to_string(*word)) : Json(nullptr);
}

// Where both answers begin: `since`, or a day ago.
Time since_parameter(Query& query, Time now) {
  const Time since = query.time("since").value_or(now - kDefaultAge);
  if (since > now) query.refuse("since", "lies in the future");
  if (since < now - kRollupHoursKept)
    query.refuse("since", "must be within the last " + format_duration(kRollupHoursKept) +
                              ", which is how long the counts are kept");
  return since;
}

// The filter of GET /v1/deliveries and of a batch that selects what of a group is dead; null: none does.
Json filter_of(const FailureGroup& group, FailuresBy by) {
  Json filter = {{"state", "dead"}};
  if (group.endpoint_count == 1) {
    if (group.endpoints.empty()) return nullptr;  // it is gone, or stands for many
    filter["endpoint"] = group.endpoints.front().to_string();
  }
  if (by == FailuresBy::kType) {
    if (group.type == kOtherTypes) return nullptr;
    filter["type"] = group.type.value_or("");
  }
  if (by == FailuresBy::kError && group.outcome) filter["error"] = to_string(*group.outcome);
  if (by == FailuresBy::kStatus) {
    if (group.status.value_or(0) == 0) return nullptr;  // no such filter
    filter["status"] = *group.status;
  }
  if (group.reason && (by == FailuresBy::kReason || (by == FailuresBy::kError && !group.outcome)))
    filter["reason"] = to_string(*group.reason);
  return filter;
}

Json endpoints_of(const Context& context, const FailureGroup& group) {
  Json endpoints = Json::array();
  for (const EndpointId& id : group.endpoints)
    endpoints.push_back({{"id", id.to_string()}, {"name", name_of(context.directory, id)}});
  return endpoints;
}

std::string name_of_group(const FailureGroup& group, FailuresBy by) {
  constexpr const char* kOther = "other";
  switch (by) {
    case FailuresBy::kError:
      if (group.outcome) return std::string(to_string(*group.outcome));
      break;
    case FailuresBy::kEndpoint:
      return group.endpoints.empty() ? kOther : group.endpoints.front().to_string();
    case FailuresBy::kType:
      return group.type.value_or(std::string(kOtherTypes)) == kOtherTypes ? kOther : *group.type;
    case FailuresBy::kStatus:
      return group.status.value_or(0) == 0 ? "none" : std::to_string(*group.status);
    case FailuresBy::kReason:
      break;
  }
  return group.reason ? std::string(to_string(*group.reason)) : kOther;
}

Json json_of(const Context& context, const FailureGroup& group, FailuresBy by) {
  const bool known_type = group.type && *group.type != kOtherTypes;
  return {{"group", name_of_group(group, by)},
          {"attempts", group.attempts},
          {"dead", group.dead},
          {"endpoint_count", group.endpoint_count},
          {"endpoints", endpoints_of(context, group)},
          {"type", known_type ? Json(*group.type) : Json(nullptr)},
          {"error", word_or_null(group.outcome)},
          {"reason", word_or_null(group.reason)},
          {"first_at", time_or_null(group.first_at)},
          {"last_at", time_or_null(group.last_at)},
          {"last_error", text_or_null(group.last_error)},
          {"last_status", group.last_status == 0 ? Json(nullptr) : Json(group.last_status)},
          {"filter", filter_of(group, by)}};
}

Result<Answer> list_failures(Context& context, const Request& request) {
  const Time now = context.clock.wall();
  Query query(request, now);
  FailureQuery wanted;
  wanted.by = query.word("by", parse_failures_by, {"error", "endpoint", "type", "status", "reason"})
                  .value_or(FailuresBy::kError);
  wanted.since = since_parameter(query, now);
  const auto until = query.time("until");
  wanted.until = until.value_or(now + Millis(1));
  if (until && *until < wanted.since) query.refuse("until", "must not be before since");
  wanted.endpoint = endpoint_parameter(context.directory, query, "endpoint");
  wanted.tenant = query.tenant();
  wanted.limit = static_cast<std::size_t>(query.page().limit);
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  // Where only hours are kept, those that the range touches.
  const Time minutes_begin = now - kRollupMinutesKept;
  if (wanted.since < minutes_begin) wanted.since = start_of(kRollupHour, wanted.since);
  if (wanted.until < minutes_begin) wanted.until = start_of(kRollupHour, wanted.until) + kRollupHour;
  const Failures failures = context.readers.lend()->failures(wanted);
  Json data = Json::array();
  for (const FailureGroup& group : failures.groups) data.push_back(json_of(context, group, wanted.by));
  return json_answer(200, Json{{"by", to_string(wanted.by)},
                               {"since", format_time(failures.since)},
                               {"attempts", failures.attempts},
                               {"dead", failures.dead},
                               {"groups", failures.all},
                               {"data", std::move(data)}});
}

struct Measure {
  std::string_view name, unit;
  Json (*value)(const RollupCounts& counts);
};
Json millis_or_null(const std::optional<Millis>& duration) {
  return duration ? Json(duration->count()) : Json(nullptr);
}
constexpr std::array<Measure, 8> kMeasures{{
    {"accepted", "count", [](const RollupCounts& c) { return Json(c.accepted); }},
    {"attempts", "count", [](const RollupCounts& c) { return Json(c.attempts); }},
    {"failed", "count", [](const RollupCounts& c) { return Json(c.failed); }},
    {"delivered", "count", [](const RollupCounts& c) { return Json(c.delivered); }},
    {"dead", "count", [](const RollupCounts& c) { return Json(c.dead); }},
    {"latency_p50", "ms", [](const RollupCounts& c) { return millis_or_null(c.latency.quantile(0.5)); }},
    {"latency_p95", "ms", [](const RollupCounts& c) { return millis_or_null(c.latency.quantile(0.95)); }},
    {"duration_p95", "ms", [](const RollupCounts& c) { return millis_or_null(c.duration.quantile(0.95)); }},
}};

std::optional<const Measure*> parse_measure(std::string_view name) {
  const auto* found = std::ranges::find(kMeasures, name, &Measure::name);
  if (found == kMeasures.end()) return std::nullopt;
  return found;
}

std::optional<Millis> parse_step(std::string_view text) {
  const auto step = parse_duration(text);
  const bool fits = step && *step >= kRollupMinute && *step <= kLongestStep;
  if (!fits || *step % kRollupMinute != Millis(0)) return std::nullopt;
  return step;
}

std::int64_t points_of(Time since, Time now, Millis step) {
  return (now - start_of(step, since)) / step + 1;
}

// The shortest that keeps the series within its bounds.
Millis default_step(Time since, Time now) {
  const Millis shortest = since < now - kRollupMinutesKept ? kRollupHour : kRollupMinute;
  for (const Millis step : {kRollupMinute, 5 * kRollupMinute, 15 * kRollupMinute}) {
    if (step >= shortest && points_of(since, now, step) <= kMaxPoints) return step;
  }
  return kRollupHour;
}

// A removed endpoint is of no tenant any more.
bool is_of(const EndpointDirectory& directory, const EndpointId& id, const std::string& tenant) {
  const EndpointPtr endpoint = directory.find(id);
  return endpoint && endpoint->tenant == tenant;
}

Result<Answer> show_series(Context& context, const Request& request) {
  const Time now = context.clock.wall();
  Query query(request, now);
  const auto measure = query.word(
      "name", parse_measure,
      {"accepted", "attempts", "failed", "delivered", "dead", "latency_p50", "latency_p95", "duration_p95"});
  if (!query.has("name")) query.refuse("name", "is missing: which series is it to be?");
  const auto endpoint = endpoint_parameter(context.directory, query, "endpoint");
  const auto tenant = query.tenant();
  if (tenant && !query.has("endpoint"))
    query.refuse("endpoint", "is missing: of one tenant, there are only the series of each endpoint");
  const Time since = since_parameter(query, now);
  const auto given = query.parsed("step", parse_step, "whole minutes from 1m to 1d, such as 1m, 5m or 1h");
  const Millis step = given.value_or(default_step(since, now));
  if (since < now - kRollupMinutesKept && step % kRollupHour != Millis(0))
    query.refuse("step", "must be whole hours when since lies further back than " +
                             format_duration(kRollupMinutesKept) + ": single minutes are kept no longer");
  if (const std::int64_t points = points_of(since, now, step); points > kMaxPoints)
    query.refuse("step", "makes " + std::to_string(points) +
                             " points since then, and an answer has at most " + std::to_string(kMaxPoints) +
                             ": choose a longer step or a later since");
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  if (tenant && endpoint && !is_of(context.directory, *endpoint, *tenant))
    return not_found("endpoint", endpoint->to_string());
  const Time start = start_of(step, since);
  Json data = Json::array();
  for (const RollupPoint& point : context.readers.lend()->series(endpoint, start, now + Millis(1), step)) {
    data.push_back({{"at", format_time(point.at)}, {"value", (*measure)->value(point.counts)}});
  }
  return json_answer(200,
                     Json{{"name", (*measure)->name},
                          {"unit", (*measure)->unit},
                          {"endpoint", endpoint ? Json(endpoint->to_string()) : Json(nullptr)},
                          {"endpoint_name", endpoint ? name_of(context.directory, *endpoint) : Json(nullptr)},
                          {"since", format_time(start)},
                          {"step", format_duration(step)},
                          {"data", std::move(data)}});
}

}  // namespace

std::vector<Route> failure_routes(Context& context) {
  return {{"GET", "/v1/failures", Access::kView,
           answering(context, list_failures, {"by", "since", "until", "endpoint", "tenant", "limit"})},
          {"GET", "/v1/series", Access::kView,
           answering(context, show_series, {"name", "endpoint", "tenant", "since", "step"})}};
}

}  // namespace outboxd::api
