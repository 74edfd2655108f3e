// Domain values for tests of stores: everything has a default, and a test says only what it is about.
#pragma once

#include <memory>
#include <string>

#include "common/clock.h"
#include "store/store.h"

namespace outboxd::test {

inline constexpr Time kNow{Millis(1'767'225'600'000)};
inline constexpr Millis kDay = std::chrono::hours(24);

inline UuidGenerator& ids() {
  static ManualClock clock(kNow);
  static UuidGenerator generator(clock);
  return generator;
}

inline Endpoint new_endpoint(const std::string& tenant = "") {
  Endpoint e;
  e.id = EndpointId{ids().next()};
  e.url = "https://example.com/hook";
  e.tenant = tenant;
  e.created_at = e.updated_at = kNow;
  return e;
}

inline NewEvent new_event(const std::vector<EndpointSeq>& endpoints = {},
                          const std::string& type = "order.paid") {
  NewEvent n;
  n.event = std::make_shared<Event>();
  n.event->id = EventId{ids().next()};
  n.event->type = type;
  n.event->payload = R"({"id":42})";
  n.event->created_at = kNow;
  for (const EndpointSeq endpoint : endpoints) n.endpoints.push_back({endpoint, kNow});
  return n;
}

inline NewEvent with_key(NewEvent event, const std::string& key, char content) {
  event.idempotency_key = key;
  event.content_digest = std::string(32, content);
  return event;
}

// To be delivered in order by its ordering key, at every endpoint that it has.
inline NewEvent keyed(NewEvent event, const std::string& ordering_key) {
  event.event->ordering_key = ordering_key;
  for (FirstAttempt& first : event.endpoints) first.ordering = Ordering::kKey;
  return event;
}

inline Attempt new_attempt(int number, Outcome outcome = Outcome::kHttp5xx) {
  Attempt a;
  a.id = AttemptId{ids().next()};
  a.number = number;
  a.started_at = kNow;
  a.timings.total = Millis(12);
  a.outcome = outcome;
  a.status = outcome == Outcome::kSuccess ? 200 : outcome == Outcome::kHttp5xx ? 503 : 0;
  a.error = outcome == Outcome::kSuccess ? "" : "it failed";
  a.request_line = "POST https://example.com/hook";
  return a;
}

inline RecordOutcome failed(DeliveryKey key, int number, Time due_at) {
  return {.key = key,
          .attempt = new_attempt(number),
          .state = DeliveryState::kPending,
          .reason = {},
          .due_at = due_at,
          .at = kNow};
}
inline RecordOutcome died(DeliveryKey key, int number, DeadReason reason = DeadReason::kExhausted) {
  return {.key = key,
          .attempt = new_attempt(number),
          .state = DeliveryState::kDead,
          .reason = reason,
          .due_at = {},
          .at = kNow};
}
inline RecordOutcome delivered(DeliveryKey key, int number) {
  return {.key = key,
          .attempt = new_attempt(number, Outcome::kSuccess),
          .state = DeliveryState::kDelivered,
          .reason = {},
          .due_at = {},
          .at = kNow};
}

}  // namespace outboxd::test
