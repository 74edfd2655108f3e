#include "api/waiting.h"

#include <algorithm>

#include "api/handling.h"
#include "store/rollup.h"

namespace outboxd::api {
namespace {

const LaneView* lane_of(EndpointSeq endpoint, const Lanes& lanes) {
  if (!lanes) return nullptr;
  const auto found = lanes->find(endpoint);
  return found == lanes->end() ? nullptr : &found->second;
}

// What those deliveries wait for that nothing but the lane holds back; absent: not known.
std::optional<Waiting> held_by_lane(EndpointSeq endpoint, const Lanes& lanes) {
  if (!is_known(endpoint, lanes)) return std::nullopt;
  const LaneView* lane = lane_of(endpoint, lanes);
  return lane ? lane->holds : Waiting{};
}

Json millis_or_null(const std::optional<Millis>& duration) {
  return duration ? Json(duration->count()) : Json(nullptr);
}

Json time_or_null(const std::optional<Time>& time) {
  return time ? Json(format_time(*time)) : Json(nullptr);
}

Json json_of(const std::optional<Waiting>& waiting) {
  if (!waiting) return nullptr;
  return {{"for", to_string(waiting->what)}, {"until", time_or_null(waiting->until)}};
}

}  // namespace

std::optional<WaitingFor> held_by_state(const Endpoint& endpoint) {
  switch (endpoint.state) {
    case EndpointState::kPaused:
      return WaitingFor::kPaused;
    case EndpointState::kDisabled:
      return WaitingFor::kDisabled;
    case EndpointState::kActive:
      break;
  }
  return std::nullopt;
}

std::optional<bool> is_under_way(const DeliveryRow& row, const Lanes& lanes) {
  if (row.delivery.state != DeliveryState::kPending) return false;
  if (!is_known(row.delivery.key.endpoint, lanes)) return std::nullopt;
  const LaneView* lane = lane_of(row.delivery.key.endpoint, lanes);
  return lane && std::ranges::binary_search(lane->under_way, row.delivery.key.event);
}

std::optional<Waiting> waiting_of(const DeliveryRow& row, const Endpoint* endpoint, const Lanes& lanes,
                                  Time now) {
  const Delivery& delivery = row.delivery;
  if (delivery.state != DeliveryState::kPending || endpoint == nullptr) return std::nullopt;
  if (is_under_way(row, lanes).value_or(false)) return std::nullopt;
  if (const auto state = held_by_state(*endpoint)) return Waiting{*state, {}};
  if (row.blocked) return Waiting{WaitingFor::kOrder, {}};
  if (delivery.due_at > now) return Waiting{WaitingFor::kDue, delivery.due_at};
  return held_by_lane(endpoint->seq, lanes);
}

std::map<WaitingFor, std::int64_t> count_waiting(const EndpointCounts& counts, const Endpoint& endpoint,
                                                 const Lanes& lanes) {
  const std::int64_t pending = counts.deliveries.pending;
  std::map<WaitingFor, std::int64_t> waiting;
  if (const auto all = held_by_state(endpoint)) {
    waiting[*all] = pending;
  } else {
    const LaneView* lane = lane_of(endpoint.seq, lanes);
    const auto under_way = lane ? static_cast<std::int64_t>(lane->under_way.size()) : 0;
    waiting[WaitingFor::kOrder] = counts.blocked;
    waiting[WaitingFor::kDue] = counts.later;
    // Read a moment apart, so what is left may seem to be less than nothing.
    if (const auto holds = held_by_lane(endpoint.seq, lanes))
      waiting[holds->what] += std::max<std::int64_t>(pending - counts.blocked - counts.later - under_way, 0);
  }
  std::erase_if(waiting, [](const auto& one) { return one.second == 0; });
  return waiting;
}

Json json_of_row(const Context& context, const DeliveryRow& row, const Lanes& lanes) {
  Json json = to_json(row.delivery, row.event, row.endpoint, row.event_type);
  json["endpoint_name"] = name_of(context.directory, row.endpoint);
  const EndpointPtr endpoint = context.directory.find(row.endpoint);
  json["waiting"] = json_of(waiting_of(row, endpoint.get(), lanes, context.clock.wall()));
  const auto under_way = is_under_way(row, lanes);
  json["in_flight"] = under_way ? Json(*under_way) : Json(nullptr);
  return json;
}

Json stats_of(const Context& context, StoreReader& reader, const Endpoint& endpoint, const Lanes& lanes,
              int limit) {
  const EndpointCounts counts = reader.counts(endpoint.seq, limit);
  const Time now = context.clock.wall();
  const EndpointRates rates = endpoint_rates(reader, endpoint.id, now);
  Json waiting = Json::object();
  for (const auto& [what, count] : count_waiting(counts, endpoint, lanes))
    waiting[std::string(to_string(what))] = count;
  Json json = {
      {"pending", counts.deliveries.pending},
      {"delivered", counts.deliveries.delivered},
      {"dead", counts.deliveries.dead},
      {"discarded", counts.deliveries.discarded},
      {"waiting", std::move(waiting)},
      {"complete", counts.blocked < limit && counts.later < limit},
      {"oldest_due_at", counts.oldest_due ? Json(format_time(now - *counts.oldest_due)) : Json(nullptr)},
      {"in_flight", nullptr},
      {"breaker", nullptr},
      {"consecutive_failures", nullptr},
      {"next_probe_at", nullptr},
      {"retry_after_until", nullptr},
      {"last_error", nullptr},
      {"certificate_expires_at", nullptr},
      {"rates",
       {{"in_per_second", rates.accepted_per_second},
        {"out_per_second", rates.delivered_per_second + rates.failed_per_second}}},
      {"latency_ms",
       {{"p50", millis_or_null(rates.latency_p50)}, {"p95", millis_or_null(rates.latency_p95)}}}};
  if (!is_known(endpoint.seq, lanes)) return json;
  const LaneView* known = lane_of(endpoint.seq, lanes);
  const LaneView lane = known ? *known : LaneView{};
  json["in_flight"] = lane.in_flight;
  json["breaker"] = lane.breaker_open ? "open" : "closed";
  json["consecutive_failures"] = lane.consecutive_failures;
  if (lane.breaker_open) json["next_probe_at"] = format_time(lane.holds.until.value_or(now));
  if (lane.holds.what == WaitingFor::kRetryAfter) json["retry_after_until"] = time_or_null(lane.holds.until);
  json["certificate_expires_at"] = time_or_null(lane.certificate_expires_at);
  if (const auto& last = lane.last_failure)
    json["last_error"] = {{"error", last->error}, {"status", last->status}, {"at", format_time(last->at)}};
  return json;
}

void with_lanes(Context& context, const ExchangePtr& exchange, std::optional<EndpointSeq> only,
                WithLanes go_on) {
  context.ask_lanes(only, [exchange, go_on = std::move(go_on)](std::function<Lanes()> make) {
    exchange->resume([make = std::move(make), go_on](const ExchangePtr& resumed) {
      guarded(resumed, [&] { go_on(resumed, make()); });
    });
  });
}

}  // namespace outboxd::api
