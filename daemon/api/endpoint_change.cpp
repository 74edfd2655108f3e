#include "api/endpoint_change.h"

#include <algorithm>

#include "api/handling.h"

namespace outboxd::api {
namespace {

constexpr int kMergeTries = 3;

void try_change(Context& context, const EndpointId& id, Merge merge, EndpointAnswered done, int tries_left) {
  const EndpointPtr base = context.directory.find(id);
  if (!base) return done(not_found("endpoint", id.to_string()));
  auto merged = merge(*base);
  if (!merged) return done(tl::unexpected(merged.error()));
  // Two changes within one millisecond must have different times, or the second would overwrite the first unnoticed.
  merged->updated_at = std::max(context.clock.wall(), base->updated_at + Millis{1});
  commit_endpoint(context,
                  UpdateEndpoint{std::make_shared<const Endpoint>(std::move(*merged)), base->updated_at},
                  [&context, id, merge = std::move(merge), done = std::move(done),
                   tries_left](Result<EndpointPtr> result) {
                    const bool outrun = !result && result.error().code == ProblemCode::kConflict;
                    if (outrun && tries_left > 1) return try_change(context, id, merge, done, tries_left - 1);
                    done(std::move(result));
                  });
}

}  // namespace

void change_endpoint(Context& context, const EndpointId& id, Merge merge, EndpointAnswered done) {
  try_change(context, id, std::move(merge), std::move(done), kMergeTries);
}

Result<Endpoint> with_new_secret(Endpoint endpoint, std::string secret, Time now, Millis overlap) {
  auto& secrets = endpoint.secrets;
  const Time end = now + overlap;
  for (auto& old : secrets) old.expires_at = std::min(old.expires_at.value_or(end), end);
  std::erase_if(secrets, [now](const EndpointSecret& old) { return *old.expires_at <= now; });
  if (secrets.size() >= kMaxEndpointSecrets) {
    return problem(ProblemCode::kConflict,
                   std::to_string(kMaxEndpointSecrets) +
                       " secrets are alive already: wait until one expires, or rotate with overlap 0s");
  }
  secrets.insert(secrets.begin(), EndpointSecret{std::move(secret), now, std::nullopt});
  return endpoint;
}

Answer secret_answer(int status, const Json& json) {
  Answer answer = json_answer(status, json);
  answer.headers.push_back({"Cache-Control", "no-store"});
  return answer;
}

}  // namespace outboxd::api
