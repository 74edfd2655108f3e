#include "api/routes.h"

#include <algorithm>
#include <array>

#include "api/delivery_filter.h"
#include "api/handling.h"
#include "api/query.h"
#include "api/waiting.h"
#include "common/text.h"
#include "telemetry/log.h"

namespace outboxd::api {
namespace {

// Pages of the store that are read for one of those that wait for something.
constexpr int kMaxReads = 40;

struct Listing {
  DeliveryFilter filter;
  std::optional<WaitingFor> waiting;
  Page page;
};

Result<Listing> parse_listing(const Context& context, const Request& request) {
  Query query(request, context.clock.wall());
  Listing wanted{.filter = read_delivery_filter(context.directory, query),
                 .waiting = query.word(
                     "waiting", parse_waiting_for,
                     {"due", "slot", "breaker", "retry_after", "rate_limit", "order", "paused", "disabled"}),
                 .page = query.page()};
  if (wanted.waiting && wanted.filter.state.value_or(DeliveryState::kPending) != DeliveryState::kPending)
    query.refuse("waiting", "goes with state=pending: nothing else waits");
  if (wanted.waiting) wanted.filter.state = DeliveryState::kPending;
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  return wanted;
}

// What a delivery waits for is no column of the store, so those that wait for something else are left out here.
Result<Answer> list_page(const Context& context, const Listing& wanted, const Lanes& lanes) {
  const auto is_wanted = [&](const DeliveryRow& row) {
    if (!wanted.waiting) return true;
    const auto endpoint = context.directory.find(row.endpoint);
    const auto waiting = waiting_of(row, endpoint.get(), lanes, context.clock.wall());
    return waiting && waiting->what == *wanted.waiting;
  };
  Page page = wanted.page;
  Json data = Json::array();
  const auto reader = context.readers.lend();
  for (int reads = 1;; ++reads) {
    const auto rows = reader->deliveries(wanted.filter, page);
    if (!rows) return tl::unexpected(rows.error());
    for (const auto& row : rows->rows) {
      if (is_wanted(row)) data.push_back(json_of_row(context, row, lanes));
    }
    page.limit = wanted.page.limit - static_cast<int>(data.size());
    if (!rows->next || page.limit <= 0 || reads == kMaxReads || !wanted.waiting)
      return list_answer(std::move(data), rows->next);
    page.after = *rows->next;
  }
}

std::optional<EndpointSeq> seq_of(const Context& context, const std::optional<EndpointId>& id) {
  const EndpointPtr endpoint = id ? context.directory.find(*id) : nullptr;
  return endpoint ? std::optional(endpoint->seq) : std::nullopt;
}

void list_deliveries(Context& context, const ExchangePtr& exchange) {
  auto wanted = parse_listing(context, exchange->request());
  if (!wanted) return exchange->respond(wanted.error());
  if (wanted->filter.state.value_or(DeliveryState::kPending) != DeliveryState::kPending)
    return exchange->respond(list_page(context, *wanted, {}));
  with_lanes(context, exchange, seq_of(context, wanted->filter.endpoint),
             [&context, wanted = std::move(*wanted)](const ExchangePtr& resumed, const Lanes& lanes) {
               resumed->respond(list_page(context, wanted, lanes));
             });
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

// Many a receiver answers with what it was sent.
Json attempts_of(const Context& context, const Request& request, const DeliveryKey& key) {
  const bool bodies = check_payload_shown(context, request).has_value();
  Json attempts = Json::array();
  for (const auto& attempt : context.readers.lend()->attempts(key)) {
    attempts.push_back(to_json(attempt));
    if (!bodies) attempts.back()["response_body"] = "";
  }
  return attempts;
}

void show_delivery(Context& context, const ExchangePtr& exchange) {
  auto found = find_delivery(context, exchange->request());
  if (!found) return exchange->respond(found.error());
  with_lanes(context, exchange, found->delivery.key.endpoint,
             [&context, row = std::move(*found)](const ExchangePtr& resumed, const Lanes& lanes) {
               Json json = json_of_row(context, row, lanes);
               json["tenant"] = row.tenant;
               json["attempt_list"] = attempts_of(context, resumed->request(), row.delivery.key);
               resumed->respond(json_answer(200, json));
             });
}

// Does a request's header hold nothing that proves who sends it? Those of outboxd's own are known; of those that an
// operator or a producer chose, only the name can tell.
bool may_be_shown(const HeaderField& header) {
  const std::string name = ascii_lower(header.name);
  constexpr std::array<std::string_view, 5> kOwn{"content-type", "user-agent", "webhook-id",
                                                 "webhook-timestamp", "traceparent"};
  if (name.starts_with("outboxd-") || std::ranges::find(kOwn, name) != kOwn.end()) return true;
  constexpr std::array<std::string_view, 7> kTelling{"auth",   "cookie",    "key",  "pass",
                                                     "secret", "signature", "token"};
  return std::ranges::none_of(kTelling,
                              [&](std::string_view part) { return name.find(part) != std::string::npos; });
}

// Whatever its name: the endpoint says that it does.
bool proves_sender(const Endpoint& endpoint, std::string_view name) {
  return (endpoint.auth && ascii_iequals(header_of(*endpoint.auth).name, name)) ||
         std::ranges::any_of(endpoint.signatures, [name](const LegacySignature& signature) {
           return ascii_iequals(signature.header, name);
         });
}

Json json_of_prepared(const PreparedRequest& prepared, const Endpoint& endpoint, bool reveal) {
  Json headers = Json::array();
  for (const HeaderField& header : prepared.headers) {
    const bool shown = reveal || (may_be_shown(header) && !proves_sender(endpoint, header.name));
    headers.push_back(
        {{"name", header.name}, {"value", shown ? Json(valid_utf8(header.value)) : Json(nullptr)}});
  }
  return {{"method", "POST"},
          {"url", prepared.url},
          {"headers", std::move(headers)},
          {"body_base64", base64_encode(prepared.body)},
          {"tls", endpoint.tls.empty() ? Json(nullptr) : to_json(endpoint.tls)}};
}

Result<Answer> show_request(Context& context, const Request& request) {
  if (const auto shown = check_payload_shown(context, request); !shown) return tl::unexpected(shown.error());
  Query query(request, context.clock.wall());
  const bool reveal = query.flag("reveal");
  if (const auto refused = query.refusal()) return tl::unexpected(*refused);
  const auto row = find_delivery(context, request);
  if (!row) return tl::unexpected(row.error());
  const EndpointPtr endpoint = context.directory.find(row->endpoint);
  if (!endpoint)
    return problem(ProblemCode::kConflict,
                   "the endpoint of this delivery was removed: nothing is sent to it");
  auto event = context.readers.lend()->event(row->event, true);
  if (!event) return not_found("event", row->event.to_string());
  if (event->payload_erased_at) {
    return problem(ProblemCode::kConflict, "the event's payload was erased at " +
                                               format_time(*event->payload_erased_at) + ": it is never sent");
  }
  if (event->event.damaged) {
    return problem(ProblemCode::kConflict,
                   "the event's stored bytes no longer match their checksum: it is never sent");
  }
  const auto prepared = context.prepare(endpoint, std::make_shared<const Event>(std::move(event->event)),
                                        row->delivery.attempts + 1);
  if (!prepared) return tl::unexpected(prepared.error());
  if (reveal) {
    log::info("a signed request was revealed",
              {{"delivery", row->delivery.id().to_string()}, {"by", request.peer}});
  }
  return json_answer(200, json_of_prepared(*prepared, *endpoint, reveal));
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
        if (changed) row.delivery = *changed;
        exchange->respond_with([&context, retry, changed = std::move(changed),
                                row = std::move(row)](const Request& asked) -> Result<Answer> {
          if (!changed) return tl::unexpected(changed.error());
          log::info(retry ? "delivery retried" : "delivery discarded",
                    {{"delivery", row.delivery.id().to_string()}, {"by", asked.peer}});
          return json_answer(200, json_of_row(context, row, {}));
        });
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
       deferring(context, list_deliveries,
                 {"state", "endpoint", "tenant", "type", "event", "error", "reason", "status", "waiting",
                  "since", "until", "limit", "cursor"})},
      {"GET", "/v1/deliveries/{id}", Access::kView, deferring(context, show_delivery)},
      {"GET", "/v1/deliveries/{id}/request", Access::kAdmin, answering(context, show_request, {"reveal"})},
      {"POST", "/v1/deliveries/{id}/retry", Access::kAdmin, deferring(context, retry_delivery)},
      {"POST", "/v1/deliveries/{id}/discard", Access::kAdmin, deferring(context, discard_delivery)},
  };
}

}  // namespace outboxd::api
