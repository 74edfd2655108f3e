#include "api/routes.h"

#include <limits>

#include "api/handling.h"
#include "api/query.h"
#include "api/waiting.h"
#include "common/text.h"
#include "common/words.h"
#include "version.h"

namespace outboxd::api {
namespace {

Json seconds_or_null(const std::optional<Millis>& age) {
  return age ? Json(std::chrono::duration<double>(*age).count()) : Json(nullptr);
}

// What its due deliveries wait for. A lane knows nothing of a state that ended its work.
std::optional<Waiting> holds_of(const DeliveryStatus::Lane& lane, const EndpointPtr& endpoint) {
  const auto held = endpoint ? held_by_state(*endpoint) : std::nullopt;
  return held ? Waiting{*held, {}} : lane.holds;
}

Json json_of_lane(const Context& context, const DeliveryStatus::Lane& lane) {
  const EndpointPtr endpoint = context.directory.find(lane.endpoint);
  const std::optional<Waiting> holds = holds_of(lane, endpoint);
  return {{"endpoint", lane.endpoint.to_string()},
          {"name", endpoint ? endpoint->name : ""},
          {"state", endpoint ? Json(to_string(endpoint->state)) : Json(nullptr)},
          {"oldest_due_age_seconds", seconds_or_null(lane.oldest_due_age)},
          {"backlog", lane.backlog},
          {"waiting_for", holds ? Json(to_string(holds->what)) : Json(nullptr)},
          {"until", holds && holds->until ? Json(format_time(*holds->until)) : Json(nullptr)},
          {"in_flight", lane.is_ours ? Json(lane.in_flight) : Json(nullptr)},
          {"consecutive_failures", lane.is_ours ? Json(lane.consecutive_failures) : Json(nullptr)},
          {"failing_since", lane.failing_since ? Json(format_time(*lane.failing_since)) : Json(nullptr)},
          {"last_error", lane.last_error.empty() ? Json(nullptr) : Json(lane.last_error)},
          {"last_status", lane.last_status == 0 ? Json(nullptr) : Json(lane.last_status)}};
}

Json json_of(const ClockSteps::Seen& seen) {
  return {{"steps", seen.count},
          {"last_step_at", seen.count > 0 ? Json(format_time(seen.last_at)) : Json(nullptr)},
          {"last_step_ms", seen.count > 0 ? Json(seen.last.count()) : Json(nullptr)}};
}

Json json_of(const std::vector<StoreMember>& members) {
  Json list = Json::array();
  for (const StoreMember& one : members)
    list.push_back({{"name", one.name},
                    {"address", one.address},
                    {"joined_at", format_time(one.joined_at)},
                    {"heartbeat_age_seconds", std::chrono::duration<double>(one.heartbeat_age).count()},
                    {"partitions", one.partitions},
                    {"self", one.self}});
  return list;
}

Json json_of(const DeliveryCounts& counts) {
  return {{"pending", counts.pending},
          {"delivered", counts.delivered},
          {"dead", counts.dead},
          {"discarded", counts.discarded}};
}

Json json_of(const std::vector<DeliveryStatus::Lane>& lanes, const Context& context) {
  Json list = Json::array();
  for (const auto& lane : lanes) list.push_back(json_of_lane(context, lane));
  return list;
}

Json waiting_of(const DeliveryStatus& delivery) {
  Json waiting = Json::object();
  for (int i = 0; i < kWaitingFors; ++i)
    waiting[std::string(to_string(static_cast<WaitingFor>(i)))] =
        delivery.waiting.at(static_cast<std::size_t>(i));
  return waiting;
}

using Tenant = std::optional<std::string>;  // the only one that is asked about; absent: all

Json count_endpoints(const Context& context, const Tenant& tenant) {
  std::int64_t active = 0, paused = 0, disabled = 0;
  for (const auto& endpoint : context.directory.all()) {
    if (tenant && endpoint->tenant != *tenant) continue;
    active += endpoint->state == EndpointState::kActive;
    paused += endpoint->state == EndpointState::kPaused;
    disabled += endpoint->state == EndpointState::kDisabled;
  }
  return {{"active", active}, {"paused", paused}, {"disabled", disabled}};
}

// What is not kept by tenant.
void add_whole_store(Json& json, const Context& context) {
  const StoreStatus store = context.readers.lend()->status();
  Json about_store = {{"url", context.store_url},
                      {"database_bytes", store.database_bytes},
                      {"schema_version", store.schema_version}};
  for (const auto& [name, value] : store.figures) about_store[name] = value;
  json["clock"] = json_of(context.clock_steps());
  json["store"] = std::move(about_store);
  json["deliveries"] = json_of(static_cast<const DeliveryCounts&>(store));
  json["events"] = store.events;
  json["members"] = json_of(store.members);
  json["outbox_rejected"] = store.outbox_rejected;
  json["listeners"] = context.listeners;
}

Answer status_answer(const Context& context, const Tenant& tenant, const DeliveryStatus& delivery) {
  Json json = {{"version", OUTBOXD_VERSION},
               {"started_at", format_time(context.started_at)},
               {"tenant", tenant ? Json(*tenant) : Json(nullptr)},
               {"clock", nullptr},
               {"store", nullptr},
               {"deliveries", json_of(delivery.deliveries)},
               {"in_flight", delivery.in_flight ? Json(*delivery.in_flight) : Json(nullptr)},
               {"waiting", waiting_of(delivery)},
               {"waiting_complete", delivery.waiting_complete},
               {"events", nullptr},
               {"outbox_rejected", nullptr},
               {"members", nullptr},
               {"oldest_due_age_seconds", seconds_or_null(delivery.oldest_due_age)},
               {"endpoints", count_endpoints(context, tenant)},
               {"worst_endpoints", json_of(delivery.worst_endpoints, context)},
               {"failing_endpoints", json_of(delivery.failing_endpoints, context)},
               {"listeners", nullptr}};
  if (!tenant) add_whole_store(json, context);
  return json_answer(200, json);
}

void show_status(Context& context, const ExchangePtr& exchange) {
  Query query(exchange->request(), context.clock.wall());
  const Tenant tenant = query.tenant();
  if (const auto refused = query.refusal()) return exchange->respond(*refused);
  context.ask_delivery_status(tenant, [&context, exchange, tenant](std::function<DeliveryStatus()> make) {
    exchange->resume([&context, tenant, make = std::move(make)](const ExchangePtr& resumed) {
      guarded(resumed, [&] { resumed->respond(status_answer(context, tenant, make())); });
    });
  });
}

Result<Answer> show_health(Context&, const Request&) {
  return json_answer(200, Json{{"status", "ok"}});
}

Result<Answer> show_readiness(Context& context, const Request& request) {
  if (const auto found = context.why_not_ready()) {
    const bool all = request.from_operator() && !found->for_operators.empty();
    return problem(ProblemCode::kUnavailable, all ? found->why + ": " + found->for_operators : found->why);
  }
  return json_answer(200, Json{{"status", "ready"}});
}

void show_metrics(Context& context, const ExchangePtr& exchange) {
  context.ask_snapshot([&context, exchange](std::function<telemetry::Snapshot()> make) {
    exchange->resume([&context, make = std::move(make)](const ExchangePtr& resumed) {
      guarded(resumed, [&] {
        resumed->respond(
            Answer{200, "text/plain; version=0.0.4; charset=utf-8", context.metrics.render(make()), {}});
      });
    });
  });
}

Result<std::optional<Millis>> duration_member(const Json& body, std::string_view name) {
  const auto text = text_member(body, name);
  if (!text) return tl::unexpected(text.error());
  if (!*text) return std::nullopt;
  const auto duration = parse_duration(**text);
  if (!duration)
    return invalid_parameter("/" + std::string(name),
                             "must be a duration such as \"7d\"; got " + in_quotes(**text));
  return duration;
}

// Where a step begins: `next` of the previous answer.
Result<std::int64_t> after_member(const Json& body) {
  const Json after = body.value("after", Json(0u));
  if (!after.is_number_unsigned() || after.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())
    return invalid_parameter("/after", "must be `next` of the answer before" + got(after));
  return after.get<std::int64_t>();
}

// Where a step of retention begins, as text.
std::string cursor_of(DeliveryKey key) {
  return std::to_string(key.event) + "." + std::to_string(key.endpoint);
}

Result<DeliveryKey> prune_after(const Json& body) {
  const auto text = text_member(body, "after");
  if (!text) return tl::unexpected(text.error());
  if (!*text) return DeliveryKey{};
  const std::string_view cursor = **text;
  const auto dot = std::min(cursor.find('.'), cursor.size() - 1);
  const auto event = parse_int(cursor.substr(0, dot));
  const auto endpoint = parse_int(cursor.substr(dot + 1));
  const auto key = DeliveryKey{event.value_or(-1), endpoint.value_or(-1)};
  if (key.event < 0 || key.endpoint < 0)
    return invalid_parameter("/after", "expected `next` of the answer before");
  return key;
}

// One step per request, so that no answer takes long: the caller continues from `next` until it is null.
void prune(Context& context, const ExchangePtr& exchange) {
  const auto body = action_body(exchange->request(), {"delivered", "dead", "after"});
  if (!body) return exchange->respond(body.error());
  const auto delivered = duration_member(*body, "delivered");
  if (!delivered) return exchange->respond(delivered.error());
  const auto dead = duration_member(*body, "dead");
  if (!dead) return exchange->respond(dead.error());
  const auto after = prune_after(*body);
  if (!after) return exchange->respond(after.error());
  context.prune({*delivered, *dead}, *after, [exchange](const Result<Pruned>& pruned) {
    exchange->respond_with([pruned](const Request&) -> Result<Answer> {
      if (!pruned) return tl::unexpected(pruned.error());
      return json_answer(200, Json{{"events", pruned->events},
                                   {"deliveries", pruned->deliveries},
                                   {"attempts", pruned->attempts},
                                   {"idempotency_keys", pruned->idempotency_keys},
                                   {"outbox_rows", pruned->outbox_rows},
                                   {"endpoints", pruned->endpoints},
                                   {"next", pruned->next ? Json(cursor_of(*pruned->next)) : Json(nullptr)}});
    });
  });
}

Result<Answer> show_secrets(Context& context, const Request&) {
  const SecretKeys counts = context.readers.lend()->secret_keys();
  Json keys = Json::array();
  std::int64_t plain = 0;
  for (const auto& [id, count] : counts) {
    if (id.empty()) {
      plain = count;
    } else {
      keys.push_back({{"id", id}, {"secrets", count}});
    }
  }
  return json_answer(200,
                     Json{{"key", context.secrets_key.empty() ? Json(nullptr) : Json(context.secrets_key)},
                          {"plain", plain},
                          {"encrypted", std::move(keys)}});
}

// In steps, like prune().
void encrypt_secrets(Context& context, const ExchangePtr& exchange) {
  const auto body = action_body(exchange->request(), {"after"});
  if (!body) return exchange->respond(body.error());
  const auto after = after_member(*body);
  if (!after) return exchange->respond(after.error());
  context.encrypt_secrets(*after, [exchange](const Result<SecretsEncrypted>& done) {
    exchange->respond_with([done](const Request&) -> Result<Answer> {
      if (!done) return tl::unexpected(done.error());
      return json_answer(200, Json{{"endpoints", done->endpoints},
                                   {"next", done->next ? Json(*done->next) : Json(nullptr)}});
    });
  });
}

}  // namespace

std::vector<Route> operation_routes(Context& context) {
  // Health and readiness reveal nothing about anybody's events, so load balancers may ask for them; metrics name
  // endpoints.
  return {
      {"GET", "/v1/status", Access::kView, deferring(context, show_status, {"tenant"})},
      {"POST", "/v1/prune", Access::kAdminAll, deferring(context, prune)},
      {"GET", "/v1/secrets", Access::kAdminAll, answering(context, show_secrets)},
      {"POST", "/v1/secrets/encrypt", Access::kAdminAll, deferring(context, encrypt_secrets)},
      {"GET", "/healthz", Access::kOpen, answering(context, show_health)},
      {"GET", "/readyz", Access::kOpen, answering(context, show_readiness)},
      {"GET", "/metrics", Access::kViewAll, deferring(context, show_metrics)},
  };
}

}  // namespace outboxd::api
