// How delivery is doing, for people and metrics: what the loops know of their endpoints, and how long something has
// been due at each endpoint. The latter the store knows, whatever holds it back (a breaker, a pause, a rate, an order)
// and wherever it waits.
#pragma once

#include <optional>
#include <unordered_map>

#include "api/context.h"
#include "delivery/delivery_engine.h"
#include "ingest/endpoint_directory.h"
#include "store/store.h"

namespace outboxd {

// How long the oldest due delivery of each endpoint with anything pending has been due; negative: it becomes due in that
// time. Costs a few seeks for each, in short reads; nothing depends on the backlog.
using DueAges = std::unordered_map<EndpointSeq, Millis>;
DueAges read_due_ages(StoreReader& reader, const EndpointDirectory& directory);

// In all of these, `loops` is null when a loop did not answer in time.
api::Lanes lanes_of(const EngineStatus* loops, Time now);

api::DeliveryStatus view_of(const EngineStatus* loops, const DueAges& ages,
                            const EndpointDirectory& directory, StoreReader& reader, Time now);

// The gauges of /metrics.
telemetry::Snapshot snapshot_of(const EngineStatus* loops, const DueAges& ages,
                                const EndpointDirectory& directory, StoreReader& reader, Time now);

}  // namespace outboxd
