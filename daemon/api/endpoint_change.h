// Changing an endpoint that others may be changing at the same time.
#pragma once

#include <functional>

#include "api/context.h"
#include "api/exchange.h"
#include "common/json.h"

namespace outboxd::api {

// Makes the wanted endpoint from the current one. Called again, on the writer's thread, each time a concurrent change
// came first, so it must not read the store.
using Merge = std::function<Result<Endpoint>(const Endpoint&)>;

using EndpointAnswered = std::function<void(Result<EndpointPtr>)>;

// Commits a change of an endpoint. `done` runs on the writer thread, after all who hear of such changes have heard of
// it.
template <class C>
void commit_endpoint(Context& context, C change, EndpointAnswered done) {
  context.commits.submit(std::move(change), [done = std::move(done)](const C&, Result<EndpointPtr> result) {
    done(std::move(result));
  });
}

// Merges and commits; gives up with kConflict when a concurrent change came first three times. Sets updated_at; the
// state stays as it is (SetEndpointState changes that). kNotFound when there is no such endpoint. `done` may run before
// this returns.
void change_endpoint(Context& context, const EndpointId& id, Merge merge, EndpointAnswered done);

// Puts a new secret in front of the others, which go on signing for at most `overlap` (0: they are dropped at once).
// Drops expired ones. kConflict when too many are still valid.
Result<Endpoint> with_new_secret(Endpoint endpoint, std::string secret, Time now, Millis overlap);

// An answer that shows a secret: nobody on the way may keep it.
Answer secret_answer(int status, const Json& json);

}  // namespace outboxd::api
