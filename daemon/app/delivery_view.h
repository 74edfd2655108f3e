// How delivery is doing, for people and metrics: what the loops know of their endpoints, and how long something has
// been due at each endpoint. The latter the store knows, whatever holds it back (a breaker, a pause, a rate, an order)
// and wherever it waits.
#pragma once

#include "api/context.h"
#include "app/relays.h"
#include "delivery/delivery_engine.h"
#include "ingest/endpoint_directory.h"
#include "store/store.h"

namespace outboxd {

// In all of these, `loops` is null when a loop did not answer in time.
api::Lanes lanes_of(const EngineStatus* loops, Time now);

Waiting holds_of(const LaneStatus& lane, Time now);

// The gauges of /metrics. Costs a few seeks for each endpoint that has anything pending, in short reads; nothing depends on
// the backlog.
telemetry::Snapshot snapshot_of(const EngineStatus* loops, const EndpointDirectory& directory,
                                const Relays& relays, const Store& store, StoreReader& reader, Time now);

}  // namespace outboxd
