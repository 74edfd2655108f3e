#include "ingest/first_attempts.h"

#include <algorithm>

namespace outboxd {

FirstAttempt first_attempt(const Endpoint& endpoint, const Event& event, Millis first_wait) {
  const Millis wait = endpoint.retry_schedule ? endpoint.retry_schedule->front() : first_wait;
  return {.endpoint = endpoint.seq, .due_at = not_before(event) + wait, .ordering = endpoint.ordering};
}

void take_endpoints(NewEvent& event, const std::vector<EndpointPtr>& matching, Millis first_wait,
                    std::size_t& room) {
  const std::size_t at_once = std::min(room, matching.size());
  event.endpoints.reserve(at_once);
  for (std::size_t i = 0; i < matching.size(); ++i) {
    const Endpoint& endpoint = *matching[i];
    if (i < at_once || order_key_of(endpoint.ordering, event.event->ordering_key))
      event.endpoints.push_back(first_attempt(endpoint, *event.event, first_wait));
  }
  room -= std::min(room, event.endpoints.size());
  if (event.endpoints.size() == matching.size()) return;
  event.more_after = at_once == 0 ? 0 : matching[at_once - 1]->seq;
  event.deliveries = static_cast<std::int64_t>(matching.size());
}

void add_fresh(std::vector<DueDelivery>& fresh, const std::shared_ptr<const Event>& event,
               std::span<const FirstAttempt> made) {
  for (const FirstAttempt& first : made) {
    if (first.behind) continue;
    fresh.push_back({.key = {event->seq, first.endpoint},
                     .due_at = first.due_at,
                     .created_at = event->created_at,
                     .order_key = order_key_of(first.ordering, event->ordering_key),
                     .expires_at = event->expires_at,
                     .event = event});
  }
}

}  // namespace outboxd
