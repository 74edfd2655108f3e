// What outboxd itself has to tell: events of its own, for endpoints of tenant `_ops`. Nothing is told of what
// happens to those endpoints, or telling it would go on for ever: then there is no draft.
#pragma once

#include <optional>
#include <string>

#include "common/delivery.h"
#include "common/endpoint.h"
#include "ingest/event_parser.h"
#include "store/store.h"

namespace outboxd {

struct DeadLetter {
  const DueDelivery& delivery;
  DeadReason reason = DeadReason::kExhausted;
  std::string error;  // class of the last failed attempt; empty: there was none
  int attempts = 0;   // made since creation or replay, the last one included
  Time at{};
};
std::optional<EventDraft> delivery_dead(const Endpoint& endpoint, const DeadLetter& letter);
std::optional<EventDraft> endpoint_disabled(const Endpoint& endpoint, std::string_view reason, Time at);
std::optional<EventDraft> endpoint_recovered(const Endpoint& endpoint, Time failing_since, Time at);

}  // namespace outboxd
