#include "app/prepared_request.h"

#include <utility>

namespace outboxd {

Result<api::PreparedRequest> prepare_request(const EndpointPtr& endpoint,
                                             const std::shared_ptr<const Event>& event, int number, Time now,
                                             UuidGenerator& ids, const RequestDefaults& defaults) {
  const auto target = make_target(endpoint);
  if (!target) return tl::unexpected(target.error());
  const std::string span_id = event->traceparent ? ids.next().hex().substr(16) : std::string();
  SendRequest request = build_request(*target, event, number, now, span_id, defaults);
  if (!request.body)
    return problem(ProblemCode::kConflict,
                   "the endpoint's body_template makes a body of this event that is too large to be sent");
  api::PreparedRequest prepared{request.url.text, std::move(request.headers), *request.body};
  for (HeaderField& header : request.extra_headers) {
    // The sender leaves these out too.
    if (!why_header_refused(header.name, header.value)) prepared.headers.push_back(std::move(header));
  }
  return prepared;
}

}  // namespace outboxd
