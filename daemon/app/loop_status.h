// What the delivery loops tell of themselves, for a request that waits for it without a thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "delivery/delivery_loops.h"
#include "runtime/event_loop.h"

namespace outboxd {

using LoopStatus = std::shared_ptr<const EngineStatus>;  // null: a loop did not answer in time

// Any thread. Of one endpoint, or of all. The callback runs on a delivery loop, or, if that takes too long, on `timer`.
void ask_loops(DeliveryLoops& loops, EventLoop& timer, std::optional<EndpointSeq> only,
               std::function<void(LoopStatus)> done);

}  // namespace outboxd
