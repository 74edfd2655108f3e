#include "ingest/first_attempts.h"

#include <algorithm>

namespace outboxd {

FirstAttempt first_attempt(const Endpoint& endpoint, const Event& event, Millis first_wait) {
  const Millis wait = endpoint.retry_schedule ? endpoint.retry_schedule->front() : first_wait;
  return {.endpoint = endpoint.seq,
          .due_in = not_before(event) - event.created_at + wait,
          .ordering = endpoint.ordering};
}

void take_endpoints(NewEvent& event, const std::vector<EndpointPtr>& matching, Millis first_wait,
                    std::size_t& room) {
  event.endpoints.clear();
  event.more_after.reset();
  event.deliveries = 0;
  const std::size_t at_once = std::min(room, matching.size());
  event.endpoints.reserve(at_once);
  for (std::size_t i = 0; i < matching.size(); ++i) {
    const Endpoint& endpoint = *matching[i];
    if (i < at_once || sequence_key_of(endpoint.ordering, event.event->ordering_key))
      event.endpoints.push_back(first_attempt(endpoint, *event.event, first_wait));
  }
  room -= std::min(room, event.endpoints.size());
  if (event.endpoints.size() == matching.size()) return;
  event.more_after = at_once == 0 ? 0 : matching[at_once - 1]->seq;
  event.deliveries = static_cast<std::int64_t>(matching.size());
}

}  // namespace outboxd
