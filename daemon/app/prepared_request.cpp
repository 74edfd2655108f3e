#include "app/prepared_request.h"

#include <algorithm>
#include <iterator>

namespace outboxd {

Result<api::PreparedRequest> prepare_request(const EndpointPtr& endpoint,
                                             const std::shared_ptr<const Event>& event, int number, Time now,
                                             UuidGenerator& ids, const RequestDefaults& defaults) {
  const auto target = make_target(endpoint, defaults);
  if (!target) return tl::unexpected(target.error());
  const std::string span_id = event->traceparent ? ids.next().hex().substr(16) : std::string();
  const SendRequest request = build_request(*target, event, number, now, span_id);
  if (!request.body)
    return problem(ProblemCode::kConflict,
                   "the endpoint's body_template makes a body of this event that is too large to be sent");
  const Destination& to = *request.to;
  api::PreparedRequest prepared{to.url.text, to.headers.fields(), *request.body};
  std::ranges::move(request.headers.fields(), std::back_inserter(prepared.headers));
  return prepared;
}

}  // namespace outboxd
