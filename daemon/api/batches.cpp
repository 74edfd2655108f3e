// Batches: one act on everything that matches a filter (store/operator_batch.h).
#include <algorithm>
#include <array>
#include <cmath>

#include "api/delivery_filter.h"
#include "api/handling.h"
#include "api/routes.h"
#include "common/text.h"
#include "common/words.h"

namespace outboxd::api {
namespace {

constexpr RateLimit kDefaultRate{.count = 1000, .per = std::chrono::seconds(1)};
constexpr int kMaxBatchRate = 10'000;  // a second
constexpr std::size_t kMaxReasonLength = 512;

// How long what is left takes at its rate, or at the pace so far if that is slower; absent: not known, or over.
std::optional<std::int64_t> seconds_left(const OperatorBatch& batch, Time now) {
  if (batch.state != BatchState::kRunning || !batch.counted) return std::nullopt;
  const auto left =
      static_cast<double>(std::max<std::int64_t>(batch.matched - batch.done - batch.skipped, 0));
  double per_second = batch.rate.count * 1000.0 / static_cast<double>(batch.rate.per.count());
  const double elapsed = static_cast<double>((now - batch.created_at).count()) / 1000;
  if (elapsed > 1 && batch.done > 0)
    per_second = std::min(per_second, static_cast<double>(batch.done + batch.skipped) / elapsed);
  return static_cast<std::int64_t>(std::ceil(left / per_second));
}

Json json_of(const Context& context, const OperatorBatch& batch) {
  const auto left = seconds_left(batch, context.clock.wall());
  const Json filter = Json::parse(encode_filter(batch.filter));
  Json json{{"id", batch.id.to_string()},
            {"action", to_string(batch.action)},
            {"filter", filter},
            {"endpoint_name",
             batch.filter.endpoint ? name_of(context.directory, *batch.filter.endpoint) : Json(nullptr)},
            {"state", to_string(batch.state)},
            {"matched", batch.matched},
            {"exact", batch.counted},
            {"done", batch.done},
            {"skipped", batch.skipped},
            {"rate", to_string(batch.rate)},
            {"seconds_left", left ? Json(*left) : Json(nullptr)},
            {"reason", batch.reason},
            {"who", batch.who},
            {"created_at", format_time(batch.created_at)},
            {"finished_at", batch.finished_at ? Json(format_time(*batch.finished_at)) : Json(nullptr)}};
  return json;
}

// The same request with the filter as its query, so that both are read by the same code. Numbers stand for their text.
Result<Request> as_query(const Request& original, const Json& filter) {
  Request request = original;
  request.query.clear();
  for (const auto& [name, value] : filter.items()) {
    const std::string pointer = "/filter" + pointer_to(name);
    if (std::ranges::find(kDeliveryFilters, name) == std::end(kDeliveryFilters)) {
      return invalid_parameter(pointer, "is not a filter: it takes " + one_of(kDeliveryFilters) +
                                            did_you_mean(name, kDeliveryFilters));
    }
    if (!value.is_string() && !value.is_number_integer())
      return invalid_parameter(pointer, "must be a string" + got(value));
    request.query.emplace(name, value.is_string() ? value.get<std::string>() : dump(value));
  }
  return request;
}

Result<DeliveryFilter> read_filter(Context& context, const Request& original, const Json& body) {
  const auto member = body.find("filter");
  if (member == body.end() || !member->is_object() || member->empty()) {
    return invalid_parameter("/filter",
                             "must be an object that names at least one field: " + one_of(kDeliveryFilters));
  }
  const auto request = as_query(original, *member);
  if (!request) return tl::unexpected(request.error());
  Query query(*request, context.clock.wall());
  DeliveryFilter filter = read_delivery_filter(context.directory, query);
  if (auto refused = query.refusal()) {
    for (FieldError& error : refused->errors) error.pointer = "/filter" + pointer_to(error.pointer);
    refused->detail = summary_of(refused->errors);
    return tl::unexpected(*refused);
  }
  return filter;
}

// What the action cannot mean.
std::optional<FieldError> why_refused(BatchAction action, const DeliveryFilter& filter) {
  if (acts_on_events(action)) {
    const std::pair<const char*, bool> of_deliveries[] = {{"state", filter.state.has_value()},
                                                          {"error", filter.error.has_value()},
                                                          {"reason", filter.reason.has_value()},
                                                          {"status", filter.status.has_value()}};
    for (const auto& [name, given] : of_deliveries) {
      if (given)
        return FieldError{std::string("/filter/") + name, "is of deliveries, and a replay is of events"};
    }
  } else if (filter.state && !may_act(action, *filter.state)) {
    return FieldError{"/filter/state",
                      "must be pending or dead; to send once more what has been delivered or discarded, "
                      "replay its events"};
  }
  if (action == BatchAction::kReplayMissing && !filter.endpoint)
    return FieldError{"/filter/endpoint", "is needed: who is missing events?"};
  if (action == BatchAction::kReplayMissing && !filter.since)
    return FieldError{"/filter/since", "is needed: since when?"};
  return std::nullopt;
}

Result<RateLimit> read_rate(const Json& body) {
  const auto text = text_member(body, "rate");
  if (!text) return tl::unexpected(text.error());
  if (!*text) return kDefaultRate;
  const auto rate = parse_rate_limit(**text);
  if (!rate || std::int64_t{rate->count} * 1000 > kMaxBatchRate * rate->per.count()) {
    return invalid_parameter("/rate",
                             "must be deliveries in a time, such as \"50/s\" or \"1000/m\", at most " +
                                 std::to_string(kMaxBatchRate) + "/s; got " + in_quotes(**text));
  }
  return *rate;
}

Result<BatchAction> read_action(const Json& body) {
  constexpr std::array<std::string_view, 4> kWords = {"retry", "discard", "replay", "replay_missing"};
  const auto text = text_member(body, "action");
  if (!text) return tl::unexpected(text.error());
  const auto action = *text ? parse_batch_action(**text) : std::nullopt;
  if (action) return *action;
  return invalid_parameter("/action",
                           "must be " + one_of(kWords) +
                               (*text ? "; got " + in_quotes(**text) + did_you_mean(**text, kWords) : ""));
}

Result<OperatorBatch> read_batch(Context& context, const Request& request, const Json& body) {
  OperatorBatch batch;
  const auto action = read_action(body);
  if (!action) return tl::unexpected(action.error());
  auto filter = read_filter(context, request, body);
  if (!filter) return tl::unexpected(filter.error());
  const auto rate = read_rate(body);
  if (!rate) return tl::unexpected(rate.error());
  const auto reason = text_member(body, "reason");
  if (!reason) return tl::unexpected(reason.error());
  if (reason->value_or("").size() > kMaxReasonLength || !is_valid_utf8(reason->value_or("")))
    return invalid_parameter("/reason",
                             "must be UTF-8 of at most " + std::to_string(kMaxReasonLength) + " bytes");
  if (const auto why = why_refused(*action, *filter)) return invalid_parameter(why->pointer, why->detail);
  batch.action = *action;
  batch.filter = std::move(*filter);
  batch.rate = *rate;
  batch.reason = reason->value_or("");
  batch.who = request.who;
  batch.id = BatchId{context.ids.next()};
  batch.created_at = context.clock.wall();
  return batch;
}

Result<bool> read_dry_run(const Json& body) {
  const auto member = body.find("dry_run");
  if (member == body.end()) return false;
  if (!member->is_boolean()) return invalid_parameter("/dry_run", "must be true or false" + got(*member));
  return member->get<bool>();
}

void answer_with_batch(Context& context, const ExchangePtr& exchange, int status,
                       const Result<OperatorBatchPtr>& batch) {
  exchange->respond_with([&context, status, batch](const Request&) -> Result<Answer> {
    if (!batch) return tl::unexpected(batch.error());
    return json_answer(status, json_of(context, **batch));
  });
}

void create_batch(Context& context, const ExchangePtr& exchange) {
  const auto body = action_body(exchange->request(), {"action", "filter", "dry_run", "rate", "reason"});
  if (!body) return exchange->respond(body.error());
  const auto dry_run = read_dry_run(*body);
  if (!dry_run) return exchange->respond(dry_run.error());
  auto batch = read_batch(context, exchange->request(), *body);
  if (!batch) return exchange->respond(batch.error());
  const auto count = context.batch_targets->count(*context.readers.lend(), *batch);
  if (!count) return exchange->respond(count.error());
  if (*dry_run)
    return exchange->respond(json_answer(200, Json{{"matched", count->matched}, {"exact", count->exact}}));
  batch->matched = count->matched;
  batch->counted = count->exact;
  context.commits.submit(CreateBatch{std::make_shared<const OperatorBatch>(std::move(*batch))},
                         [&context, exchange](const CreateBatch&, const Result<OperatorBatchPtr>& made) {
                           answer_with_batch(context, exchange, 202, made);
                         });
}

// The batches of a caller who is of one tenant are of that tenant: read_delivery_filter() sees to it.
bool may_see(const Request& request, const OperatorBatch& batch) {
  return !request.tenant || batch.filter.tenant == request.tenant;
}

Result<Answer> list_batches(Context& context, const Request& request) {
  Query query(request, context.clock.wall());
  const auto tenant = query.tenant();
  const Page page = query.page();
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  const auto rows = context.readers.lend()->batches(page);
  if (!rows) return tl::unexpected(rows.error());
  Json data = Json::array();
  for (const OperatorBatch& batch : rows->rows) {
    if (!tenant || batch.filter.tenant == tenant) data.push_back(json_of(context, batch));
  }
  return list_answer(std::move(data), rows->next);
}

Result<Answer> show_batch(Context& context, const Request& request) {
  const auto id = path_id<BatchId>(request, "batch");
  if (!id) return tl::unexpected(id.error());
  const auto batch = context.readers.lend()->batch(*id);
  if (!batch || !may_see(request, *batch)) return not_found("batch", id->to_string());
  return json_answer(200, json_of(context, *batch));
}

void cancel_batch(Context& context, const ExchangePtr& exchange) {
  const Request& request = exchange->request();
  if (const auto body = action_body(request, {}); !body) return exchange->respond(body.error());
  const auto id = path_id<BatchId>(request, "batch");
  if (!id) return exchange->respond(id.error());
  const auto batch = context.readers.lend()->batch(*id);
  if (!batch || !may_see(request, *batch))
    return exchange->respond(not_found("batch", id->to_string()).value());
  context.commits.submit(CancelBatch{*id, context.clock.wall()},
                         [&context, exchange](const CancelBatch&, const Result<OperatorBatchPtr>& now) {
                           answer_with_batch(context, exchange, 200, now);
                         });
}

}  // namespace

std::vector<Route> batch_routes(Context& context) {
  return {
      {"POST", "/v1/batches", Access::kAdmin, deferring(context, create_batch)},
      {"GET", "/v1/batches", Access::kView, answering(context, list_batches, {"tenant", "limit", "cursor"})},
      {"GET", "/v1/batches/{id}", Access::kView, answering(context, show_batch)},
      {"POST", "/v1/batches/{id}/cancel", Access::kAdmin, deferring(context, cancel_batch)},
  };
}

}  // namespace outboxd::api
