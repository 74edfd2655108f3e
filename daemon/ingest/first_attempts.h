// From the endpoints that match an event to its first attempts: what accepting an event and fanning it out share.
#pragma once

#include <vector>

#include "ingest/endpoint_directory.h"
#include "store/commands.h"

namespace outboxd {

// `first_wait`: before the first attempt, of endpoints without a schedule of their own.
FirstAttempt first_attempt(const Endpoint& endpoint, const Event& event, Millis first_wait);

// Fills in `endpoints` and what belongs to it: those that match, as far as there is `room`, which shrinks. The others
// follow later, but for those that the event is in order at: a later event has to find it there.
void take_endpoints(NewEvent& event, const std::vector<EndpointPtr>& matching, Millis first_wait,
                    std::size_t& room);

}  // namespace outboxd
