// What pending deliveries wait for, as requests show it: the store knows what is due and what is behind another one,
// the directory which endpoints are paused or disabled, and the lanes the rest.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "api/context.h"
#include "api/exchange.h"
#include "common/json.h"

namespace outboxd::api {

// What holds back all deliveries of an endpoint, due or not: kPaused, kDisabled, or nothing.
std::optional<WaitingFor> held_by_state(const Endpoint& endpoint);

// What a delivery waits for at `now`; absent: it is not pending, it is under way, its endpoint was removed, or the lanes
// are not known.
std::optional<Waiting> waiting_of(const DeliveryRow& row, const Endpoint* endpoint, const Lanes& lanes,
                                  Time now);
// Is it being sent, or its outcome being recorded? Absent: not known.
std::optional<bool> is_under_way(const DeliveryRow& row, const Lanes& lanes);

// A delivery as lists show it.
Json json_of_row(const Context& context, const DeliveryRow& row, const Lanes& lanes);

// How many of an endpoint's pending deliveries wait for what. Those under way are in none of these; nor, when the lanes
// are not known, are those that only a lane holds back.
std::map<WaitingFor, std::int64_t> count_waiting(const EndpointCounts& counts, const Endpoint& endpoint,
                                                 const Lanes& lanes);
// How an endpoint is doing: its deliveries by state and by what they wait for, and its lane. Deliveries that are not due
// or not first in their order are counted up to `limit` each; beyond it `complete` is false.
Json stats_of(const Context& context, StoreReader& reader, const Endpoint& endpoint, const Lanes& lanes,
              int limit);

// Continues the request on a worker, with the lanes.
using WithLanes = std::function<void(const ExchangePtr&, const Lanes&)>;
void with_lanes(Context& context, const ExchangePtr& exchange, std::optional<EndpointSeq> only,
                WithLanes go_on);

}  // namespace outboxd::api
