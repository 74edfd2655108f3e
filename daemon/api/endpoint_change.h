// Changing an endpoint that others may be changing at the same time.
#pragma once

#include <functional>

#include "api/context.h"

namespace outboxd::api {

// From the endpoint as it is to the endpoint as it shall be. Called once more for each time somebody else was
// faster, on the writer's thread: no reads.
using Merge = std::function<Result<Endpoint>(const Endpoint&)>;

using EndpointAnswered = std::function<void(Result<EndpointPtr>)>;

// Commits a change of an endpoint; `done` runs on the writer thread, when all who hear of it know.
template <class C>
void commit_endpoint(Context& context, C change, EndpointAnswered done) {
  context.commits.submit(std::move(change), [done = std::move(done)](const C&, Result<EndpointPtr> result) {
    done(std::move(result));
  });
}

// Merges, commits, and gives up with kConflict after the third time somebody else was faster. Sets
// updated_at; the state stays as it is (SetEndpointState changes that). kNotFound when there is
// no such endpoint. `done` may run before this returns.
void change_endpoint(Context& context, const EndpointId& id, Merge merge, EndpointAnswered done);

// Room for a new secret in front of the others, which sign along for `overlap` more (0: they are gone at
// once); expired ones are dropped. kConflict when too many are alive.
Result<Endpoint> with_new_secret(Endpoint endpoint, std::string secret, Time now, Millis overlap);

}  // namespace outboxd::api
