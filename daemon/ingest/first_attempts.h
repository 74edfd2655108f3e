// Turns the endpoints that match an event into its first attempts: shared by accepting an event and fanning it out.
#pragma once

#include <vector>

#include "ingest/endpoint_directory.h"
#include "store/commands.h"

namespace outboxd {

// `first_wait` is the wait before the first attempt at endpoints without a schedule of their own.
FirstAttempt first_attempt(const Endpoint& endpoint, const Event& event, Millis first_wait);

// Fills in `endpoints`, `more_after` and `deliveries`: takes the matching endpoints as far as there is `room`, and
// reduces `room`. The others follow later, except those at which the event is in order: they are all taken now, because
// a later event must find it there.
void take_endpoints(NewEvent& event, const std::vector<EndpointPtr>& matching, Millis first_wait,
                    std::size_t& room);

}  // namespace outboxd
