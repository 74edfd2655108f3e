#include "api/routes.h"

#include "api/endpoint_reference.h"
#include "api/handling.h"
#include "api/query.h"
#include "telemetry/log.h"

namespace outboxd::api {
namespace {

std::optional<std::string> parse_error_filter(std::string_view text) {
  if (text != "any" && !parse_outcome(text)) return std::nullopt;
  return std::string(text);
}

Result<Answer> list_deliveries(Context& context, const Request& request) {
  Query query(request, context.clock.wall());
  const DeliveryFilter filter{
      .state = query.word("state", parse_delivery_state, {"pending", "delivered", "dead", "discarded"}),
      .endpoint = endpoint_parameter(context.directory, query, "endpoint"),
      .event = query.id<EventId>("event"),
      .tenant = query.tenant(),
      .type = query.text("type"),
      .error = query.word("error", parse_error_filter,
                          {"any", "http_4xx", "http_5xx", "redirect", "timeout", "connect", "dns", "tls",
                           "blocked", "protocol"}),
      .since = query.time("since"),
      .until = query.time("until"),
  };
  const Page page = query.page();
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  const auto rows = context.readers.lend()->deliveries(filter, page);
  if (!rows) return tl::unexpected(rows.error());
  Json data = Json::array();
  for (const auto& row : rows->rows) data.push_back(json_of_row(context, row));
  return list_answer(std::move(data), rows->next);
}

Result<DeliveryRow> find_delivery(Context& context, const Request& request) {
  const auto id = path_id<DeliveryId>(request, "delivery");
  if (!id) return tl::unexpected(id.error());
  auto row = context.readers.lend()->delivery(delivery_key(*id));
  // Any well-formed id yields some key, so the delivery found must also have exactly this id.
  if (!row || row->delivery.id() != *id || !request.may_see(row->tenant))
    return not_found("delivery", id->to_string());
  return std::move(*row);
}

Result<Answer> show_delivery(Context& context, const Request& request) {
  const auto row = find_delivery(context, request);
  if (!row) return tl::unexpected(row.error());
  Json json = json_of_row(context, *row);
  json["tenant"] = row->tenant;
  json["attempt_list"] = Json::array();
  for (const auto& attempt : context.readers.lend()->attempts(row->delivery.key)) {
    json["attempt_list"].push_back(to_json(attempt));
  }
  return json_answer(200, json);
}

// Retry sets the state pending, discard sets it discarded.
void move_delivery(Context& context, const ExchangePtr& exchange, DeliveryState state) {
  const Request& request = exchange->request();
  if (const auto body = action_body(request, {}); !body) return exchange->respond(body.error());
  auto row = find_delivery(context, request);
  if (!row) return exchange->respond(row.error());
  const bool retry = state == DeliveryState::kPending;
  if (retry && !context.directory.find(row->endpoint)) {
    return exchange->respond(
        Problem{ProblemCode::kConflict, "the endpoint of this delivery was removed: it cannot be retried"});
  }
  context.commits.submit(
      ChangeDelivery{row->delivery.key, state, context.clock.wall()},
      [&context, exchange, retry, row = std::move(*row)](const ChangeDelivery&,
                                                         Result<Delivery> changed) mutable {
        if (!changed) return exchange->respond(changed.error());
        row.delivery = *changed;
        log::info(retry ? "delivery retried" : "delivery discarded",
                  {{"delivery", row.delivery.id().to_string()}, {"by", exchange->request().peer}});
        exchange->respond(json_answer(200, json_of_row(context, row)));
      });
}

void retry_delivery(Context& context, const ExchangePtr& exchange) {
  move_delivery(context, exchange, DeliveryState::kPending);
}

void discard_delivery(Context& context, const ExchangePtr& exchange) {
  move_delivery(context, exchange, DeliveryState::kDiscarded);
}

}  // namespace

std::vector<Route> delivery_routes(Context& context) {
  return {
      {"GET", "/v1/deliveries", Access::kView,
       answering(
           context, list_deliveries,
           {"state", "endpoint", "tenant", "type", "event", "error", "since", "until", "limit", "cursor"})},
      {"GET", "/v1/deliveries/{id}", Access::kView, answering(context, show_delivery)},
      {"POST", "/v1/deliveries/{id}/retry", Access::kAdmin, deferring(context, retry_delivery)},
      {"POST", "/v1/deliveries/{id}/discard", Access::kAdmin, deferring(context, discard_delivery)},
  };
}

}  // namespace outboxd::api
