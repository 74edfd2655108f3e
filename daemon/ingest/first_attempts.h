// From the endpoints that match an event to its first attempts, and from those, once committed, to deliveries
// that can be sent. What accepting an event and fanning it out share.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ingest/endpoint_directory.h"
#include "store/store.h"

namespace outboxd {

// `first_wait`: before the first attempt, of endpoints without a schedule of their own.
FirstAttempt first_attempt(const Endpoint& endpoint, const Event& event, Millis first_wait);

// Fills in `endpoints` and what belongs to it: those that match, as far as there is `room`, which shrinks.
// The others follow later, but for those that the event is in order at: a later event has to find it there.
void take_endpoints(NewEvent& event, const std::vector<EndpointPtr>& matching, Millis first_wait,
                    std::size_t& room);

// Adds those that may be attempted: not those behind others, which the store knows.
void add_fresh(std::vector<DueDelivery>& fresh, const std::shared_ptr<const Event>& event,
               std::span<const FirstAttempt> made);

}  // namespace outboxd
