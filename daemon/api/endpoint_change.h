// Changing an endpoint that others may be changing at the same time.
#pragma once

#include <functional>

#include "api/context.h"

namespace outboxd::api {

// From the endpoint as it is to the endpoint as it shall be. Called once more for each time somebody else was
// faster, on the writer's thread: no reads.
using Merge = std::function<Result<Endpoint>(const Endpoint&)>;

// Merges, commits, and gives up with kConflict after the third time somebody else was faster. Sets
// updated_at; the state stays as it is (set_state() of the directory changes that). kNotFound when there is
// no such endpoint. `done` may run before this returns.
void change_endpoint(Context& context, const EndpointId& id, Merge merge, EndpointDirectory::Done done);

// Room for a new secret in front of the others, which sign along for `overlap` more (0: they are gone at
// once); expired ones are dropped. kConflict when too many are alive.
Result<Endpoint> with_new_secret(Endpoint endpoint, std::string secret, Time now, Millis overlap);

}  // namespace outboxd::api
