#include "store/endpoint_changes.h"

#include <algorithm>
#include <string>

namespace outboxd {

tl::unexpected<Problem> changed_meanwhile() {
  return problem(ProblemCode::kConflict, "the endpoint was changed meanwhile: read it and change it again");
}

Problem name_is_taken(const EndpointId& other) {
  const std::string why = "is the name of another endpoint of its tenant: " + other.to_string();
  return Problem{ProblemCode::kConflict, "the name " + why, {{"/name", why}}};
}

Time next_version(Time wanted, Time last) {
  return std::max(wanted, last + Millis(1));
}

Endpoint updated(const UpdateEndpoint& command, const Endpoint& stored) {
  Endpoint e = *command.endpoint;
  e.seq = stored.seq;
  e.created_at = stored.created_at;
  e.updated_at = stored.updated_at;
  e.state = stored.state;
  e.disabled_reason = stored.disabled_reason;
  e.failing_since = stored.failing_since;
  return e;
}

Endpoint in_state(Endpoint endpoint, EndpointState state, const std::string& reason, Time at) {
  endpoint.state = state;
  endpoint.disabled_reason = state == EndpointState::kDisabled ? reason : "";
  endpoint.updated_at = next_version(at, endpoint.updated_at);
  if (state == EndpointState::kActive) endpoint.failing_since.reset();
  return endpoint;
}

bool is_in(const Endpoint& stored, const UpdateEndpoint& command) {
  return stored.updated_at >= next_version(command.endpoint->updated_at, command.if_updated_at) &&
         updated(command, stored) == stored;
}

bool is_in(const Endpoint& stored, const SetEndpointState& command) {
  return stored.updated_at >= command.at && stored.state == command.state &&
         (stored.state != EndpointState::kDisabled || stored.disabled_reason == command.disabled_reason);
}

bool is_in(const Endpoint& stored, const DisableEndpoint& command) {
  return stored.updated_at == next_version(command.at, command.if_updated_at) &&
         stored.state == EndpointState::kDisabled && stored.disabled_reason == command.reason;
}

}  // namespace outboxd
