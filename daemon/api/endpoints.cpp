#include "api/routes.h"

#include <algorithm>

#include "api/endpoint_change.h"
#include "api/endpoint_json.h"
#include "api/endpoint_reference.h"
#include "api/handling.h"
#include "api/query.h"
#include "api/waiting.h"
#include "common/json_span.h"
#include "common/signature.h"
#include "common/words.h"
#include "telemetry/log.h"

namespace outboxd::api {
namespace {

constexpr std::size_t kMaxShownValue = 256;  // bytes of a value that a filter looked at
// How many deliveries that are not due, or not first in their order, are counted for one endpoint.
constexpr int kMaxCounted = 10'000;

EndpointAnswered answer_endpoint(const ExchangePtr& exchange, std::string_view deed) {
  return [exchange, deed](const Result<EndpointPtr>& result) {
    exchange->respond_with([result, deed](const Request& request) -> Result<Answer> {
      if (!result) return tl::unexpected(result.error());
      const Endpoint& now = **result;
      log::info(deed, {{"endpoint", now.id.to_string()}, {"name", now.name}, {"by", request.peer}});
      return json_answer(200, to_json(now));
    });
  };
}

// Calls `go_on` if a request to this endpoint would be allowed now, else answers with a refusal. Only operators are
// told why the policy denies a URL and what would allow it: a tenant could map the internal network with that.
void if_allowed(Context& context, const ExchangePtr& exchange, const Endpoint& endpoint,
                std::function<void()> go_on) {
  auto url = parse_endpoint_url(endpoint.url);
  if (!url)
    return exchange->respond(
        Problem{ProblemCode::kInvalidEndpoint, url.error().detail, {{"/url", url.error().detail}}});
  context.preflight(
      std::move(*url), endpoint.tls,
      [exchange, go_on = std::move(go_on)](Outcome outcome, std::string error, const std::string& denial) {
        const char* const field = outcome == Outcome::kBlocked ? "/url"
                                  : outcome == Outcome::kTls   ? "/tls"
                                                               : nullptr;
        if (field == nullptr) return guarded(exchange, go_on);
        log::warn("endpoint refused",
                  {{"why", denial.empty() ? error : denial}, {"by", exchange->request().peer}});
        if (!denial.empty() && exchange->request().from_operator()) error += ": " + denial;
        exchange->respond(Problem{ProblemCode::kInvalidEndpoint, error, {{field, error}}});
      });
}

void date_secrets(Endpoint& endpoint, Time now) {
  for (auto& secret : endpoint.secrets) {
    if (secret.created_at == Time{}) secret.created_at = now;
  }
}

void store_endpoint(Context& context, const ExchangePtr& exchange, Endpoint endpoint) {
  const Time now = context.clock.wall();
  endpoint.id = EndpointId{context.ids.next()};
  endpoint.created_at = endpoint.updated_at = now;
  if (endpoint.secrets.empty()) endpoint.secrets.push_back({SigningKey::generate(), now, std::nullopt});
  date_secrets(endpoint, now);
  auto made_now = std::make_shared<const Endpoint>(std::move(endpoint));
  commit_endpoint(
      context, CreateEndpoint{std::move(made_now)}, [exchange](const Result<EndpointPtr>& result) {
        exchange->respond_with([result](const Request& request) -> Result<Answer> {
          if (!result) return tl::unexpected(result.error());
          const Endpoint& made = **result;
          log::info("endpoint created", {{"endpoint", made.id.to_string()}, {"by", request.peer}});
          Json json = to_json(made);
          json["secret"] = made.secrets.front().text;
          Answer answer = secret_answer(201, json);
          answer.headers.push_back({"Location", "/v1/endpoints/" + made.id.to_string()});
          return answer;
        });
      });
}

// What a caller of one tenant may not ask for.
std::optional<Problem> why_not_his(const Request& request, const Endpoint& wanted, const Json& body) {
  if (!request.tenant) return std::nullopt;
  if (!request.may_see(wanted.tenant)) return other_tenant(request, wanted.tenant, "/tenant");
  if (!body.contains("tls") || body["tls"].is_null()) return std::nullopt;
  // They are files of this machine, and may be another tenant's.
  const std::string detail = "names files of this machine, which needs a token without a tenant";
  return Problem{ProblemCode::kForbidden, "/tls " + detail, {{"/tls", detail}}};
}

void create_endpoint(Context& context, const ExchangePtr& exchange) {
  const auto body = json_body(exchange->request());
  if (!body) return exchange->respond(body.error());
  auto endpoint = endpoint_from_json(*body, Endpoint{});
  if (!endpoint) return exchange->respond(endpoint.error());
  const Request& request = exchange->request();
  if (request.tenant && endpoint->tenant.empty()) endpoint->tenant = *request.tenant;
  if (const auto refused = why_not_his(request, *endpoint, *body)) return exchange->respond(*refused);
  if_allowed(context, exchange, *endpoint, [&context, exchange, made = *endpoint]() mutable {
    store_endpoint(context, exchange, std::move(made));
  });
}

// Read from the store, because the endpoint in memory does not follow failing_since.
Result<Answer> show_endpoint(Context& context, const Request& request) {
  const auto known = endpoint_of_path(context, request);
  if (!known) return tl::unexpected(known.error());
  const auto endpoint = context.readers.lend()->endpoint((*known)->id);
  if (!endpoint) return not_found("endpoint", (*known)->id.to_string());
  return json_answer(200, json_for(request, *endpoint));
}

void patch_endpoint(Context& context, const ExchangePtr& exchange) {
  const auto body = json_body(exchange->request());
  if (!body) return exchange->respond(body.error());
  const auto endpoint = endpoint_of_path(context, exchange->request());
  if (!endpoint) return exchange->respond(endpoint.error());
  const EndpointId id = (*endpoint)->id;
  const bool new_target = body->contains("url") || body->contains("tls");
  const auto wanted = endpoint_from_json(*body, **endpoint);
  if (!wanted) return exchange->respond(wanted.error());
  if (const auto refused = why_not_his(exchange->request(), *wanted, *body))
    return exchange->respond(*refused);
  const auto merge = [&context, body = *body](const Endpoint& base) {
    auto merged = endpoint_from_json(body, base);
    if (merged) date_secrets(*merged, context.clock.wall());
    return merged;
  };
  // The state has a command of its own, because the delivery loop changes it too.
  const auto state = body->contains("state")
                         ? std::optional(std::pair(wanted->state, wanted->disabled_reason))
                         : std::nullopt;
  auto done = answer_endpoint(exchange, "endpoint changed");
  const auto change = [&context, id, merge, state, done = std::move(done)] {
    change_endpoint(context, id, merge, [&context, id, state, done](Result<EndpointPtr> result) {
      if (!result || !state || (*result)->state == state->first) return done(std::move(result));
      commit_endpoint(context, SetEndpointState{id, (*result)->updated_at, state->first, state->second},
                      done);
    });
  };
  new_target ? if_allowed(context, exchange, *wanted, change) : change();
}

void remove_endpoint(Context& context, const ExchangePtr& exchange) {
  const auto endpoint = endpoint_of_path(context, exchange->request());
  if (!endpoint) return exchange->respond(endpoint.error());
  const EndpointId id = (*endpoint)->id;
  commit_endpoint(context, RemoveEndpoint{id, context.clock.wall()},
                  [exchange, id](const Result<EndpointPtr>& result) {
                    exchange->respond_with([result, id](const Request& request) -> Result<Answer> {
                      if (!result) return tl::unexpected(result.error());
                      log::info("endpoint removed", {{"endpoint", id.to_string()}, {"by", request.peer}});
                      return Answer{204, "", "", {}};
                    });
                  });
}

void set_state(Context& context, const ExchangePtr& exchange, EndpointState state) {
  const Request& request = exchange->request();
  if (const auto body = action_body(request, {}); !body) return exchange->respond(body.error());
  const auto endpoint = endpoint_of_path(context, request);
  if (!endpoint) return exchange->respond(endpoint.error());
  const bool pause = state == EndpointState::kPaused;
  if (pause && (*endpoint)->state == EndpointState::kDisabled) {
    return exchange->respond(Problem{ProblemCode::kConflict,
                                     "the endpoint is disabled, which holds its deliveries already: "
                                     "resume it first"});
  }
  const Time now = std::max(context.clock.wall(), (*endpoint)->updated_at + Millis{1});
  commit_endpoint(context, SetEndpointState{(*endpoint)->id, now, state, ""},
                  answer_endpoint(exchange, pause ? "endpoint paused" : "endpoint resumed"));
}

void pause_endpoint(Context& context, const ExchangePtr& exchange) {
  set_state(context, exchange, EndpointState::kPaused);
}

void resume_endpoint(Context& context, const ExchangePtr& exchange) {
  set_state(context, exchange, EndpointState::kActive);
}

// The bytes of a member as they were sent.
std::optional<std::string> raw_member(std::string_view body, std::string_view wanted) {
  JsonScanner scanner(body);
  scanner.open_object();
  while (const auto name = scanner.next_member()) {
    const auto value = scanner.value();
    if (value && json_string(*name) == wanted) return std::string(value->text);
  }
  return std::nullopt;
}

Result<Event> test_event(Context& context, const Request& request, const Endpoint& endpoint) {
  const auto body = action_body(request, {"type", "payload"});
  if (!body) return tl::unexpected(body.error());
  const auto type = text_member(*body, "type");
  if (!type) return tl::unexpected(type.error());
  if (*type && !is_event_type(**type))
    return invalid_parameter("/type",
                             "must be an event type, such as \"order.paid\"; got " + in_quotes(**type));
  Event event;
  event.id = EventId{context.ids.next()};
  event.type = type->value_or("outboxd.test");
  event.tenant = endpoint.tenant;
  event.created_at = context.clock.wall();
  event.payload = raw_member(request.body, "payload")
                      .value_or(dump(Json{{"endpoint", endpoint.id.to_string()},
                                          {"sent_at", format_time(event.created_at)}}));
  return event;
}

void test_endpoint(Context& context, const ExchangePtr& exchange) {
  const Request& request = exchange->request();
  const auto endpoint = endpoint_of_path(context, request);
  if (!endpoint) return exchange->respond(endpoint.error());
  auto event = test_event(context, request, **endpoint);
  if (!event) return exchange->respond(event.error());
  context.send_test(*endpoint, std::move(*event), [exchange](Attempt attempt) {
    // As in if_allowed(): why the policy denies an address is for operators.
    if (attempt.outcome == Outcome::kBlocked && !exchange->request().from_operator())
      attempt.error = kUrlNotAllowed;
    exchange->respond(json_answer(200, Json{{"attempt", to_json(attempt)}}));
  });
}

// The values are JSON texts, because a number may have more digits than this answer could show as a number.
Json json_of(const PayloadFilter::Outcome& outcome) {
  return {{"pointer", outcome.pointer},
          {"condition", outcome.condition},
          {"wanted", outcome.wanted},
          {"found", outcome.found ? Json(outcome.found->substr(0, kMaxShownValue)) : Json(nullptr)},
          {"holds", outcome.holds}};
}

// Would the endpoint's filter, or that of the body, let this payload pass?
Result<Answer> test_filter(Context& context, const Request& request) {
  const auto endpoint = endpoint_of_path(context, request);
  if (!endpoint) return tl::unexpected(endpoint.error());
  const auto body = action_body(request, {"payload", "filter"});
  if (!body) return tl::unexpected(body.error());
  if (!body->contains("payload"))
    return invalid_parameter("/payload", "is required: what the filter is to look at");
  std::optional<PayloadFilter> filter = (*endpoint)->filter;
  if (const auto given = raw_member(request.body, "filter")) {
    auto parsed = PayloadFilter::parse(*given, "/filter");
    if (!parsed) return problem(ProblemCode::kInvalidParameter, summary_of(parsed.error()), parsed.error());
    filter = std::move(*parsed);
  }
  const std::string text = *raw_member(request.body, "payload");
  const auto payload = JsonTree::parse(text);
  bool matches = true;
  Json conditions = Json::array();
  for (const auto& outcome :
       filter&& payload ? filter->explain(*payload) : std::vector<PayloadFilter::Outcome>()) {
    matches = matches && outcome.holds;
    conditions.push_back(json_of(outcome));
  }
  return json_answer(200, Json{{"matches", matches}, {"conditions", std::move(conditions)}});
}

void show_stats(Context& context, const ExchangePtr& exchange) {
  const auto found = endpoint_of_path(context, exchange->request());
  if (!found) return exchange->respond(found.error());
  with_lanes(context, exchange, (*found)->seq,
             [&context, endpoint = *found](const ExchangePtr& resumed, const Lanes& lanes) {
               Json json = stats_of(context, *context.readers.lend(), *endpoint, lanes, kMaxCounted);
               json["endpoint"] = endpoint->id.to_string();
               json["name"] = endpoint->name;
               json["state"] = to_string(endpoint->state);
               resumed->respond(json_answer(200, json));
             });
}

}  // namespace

std::vector<Route> endpoint_routes(Context& context) {
  return {
      {"POST", "/v1/endpoints", Access::kAdmin, deferring(context, create_endpoint)},
      {"GET", "/v1/endpoints/{id}", Access::kView, answering(context, show_endpoint)},
      {"PATCH", "/v1/endpoints/{id}", Access::kAdmin, deferring(context, patch_endpoint)},
      {"DELETE", "/v1/endpoints/{id}", Access::kAdmin, deferring(context, remove_endpoint)},
      {"POST", "/v1/endpoints/{id}/pause", Access::kAdmin, deferring(context, pause_endpoint)},
      {"POST", "/v1/endpoints/{id}/resume", Access::kAdmin, deferring(context, resume_endpoint)},
      {"POST", "/v1/endpoints/{id}/test", Access::kAdmin, deferring(context, test_endpoint)},
      {"POST", "/v1/endpoints/{id}/filter/test", Access::kAdmin, answering(context, test_filter)},
      {"GET", "/v1/endpoints/{id}/stats", Access::kView, deferring(context, show_stats)},
  };
}

}  // namespace outboxd::api
