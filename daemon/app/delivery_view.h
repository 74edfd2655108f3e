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

// How long the oldest due delivery of each endpoint has been due; endpoints with nothing due are left out. Costs a few
// seeks for each endpoint that has anything pending, in short reads; nothing depends on the backlog.
using DueAges = std::unordered_map<EndpointSeq, Millis>;
DueAges read_due_ages(StoreReader& reader, const EndpointDirectory& directory);

// `loops`: null when a loop did not answer in time.
api::DeliveryStatus view_of(const EngineStatus* loops, const DueAges& ages,
                            const EndpointDirectory& directory, StoreReader& reader);

// The gauges of /metrics, `loops` as above.
telemetry::Snapshot snapshot_of(const EngineStatus* loops, const DueAges& ages,
                                const EndpointDirectory& directory, StoreReader& reader);

}  // namespace outboxd
