// What the commands that change an endpoint make of it, for every store. Pure.
#pragma once

#include "common/endpoint.h"
#include "store/commands.h"

namespace outboxd {

tl::unexpected<Problem> changed_meanwhile();
// The name is that of `other`, an endpoint of the same tenant.
Problem name_is_taken(const EndpointId& other);

// `updated_at` tells versions apart, so two changes never share one.
Time next_version(Time wanted, Time last);

// The endpoint after an update, except for its version.
Endpoint updated(const UpdateEndpoint& command, const Endpoint& stored);
// The endpoint in another state.
Endpoint in_state(Endpoint endpoint, EndpointState state, const std::string& reason, Time at);

// On a repeat: was the change made the first time?
bool is_in(const Endpoint& stored, const UpdateEndpoint& command);
bool is_in(const Endpoint& stored, const SetEndpointState& command);
bool is_in(const Endpoint& stored, const DisableEndpoint& command);

}  // namespace outboxd
