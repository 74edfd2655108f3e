// Domain values for tests of stores: everything has a default, so a test says only what it is about. And helpers that
// apply commands in transactions.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

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
inline EndpointPtr shared(Endpoint endpoint) {
  return std::make_shared<const Endpoint>(std::move(endpoint));
}

inline NewEvent new_event(const std::vector<EndpointSeq>& endpoints = {},
                          const std::string& type = "order.paid") {
  NewEvent n;
  n.event = std::make_shared<Event>();
  n.event->id = EventId{ids().next()};
  n.event->type = type;
  n.event->payload = R"({"id":42})";
  n.event->created_at = kNow;
  for (const EndpointSeq endpoint : endpoints) n.endpoints.push_back({.endpoint = endpoint});
  return n;
}

inline NewEvent with_key(NewEvent event, const std::string& key, char content) {
  event.idempotency_key = key;
  event.content_digest = std::string(32, content);
  return event;
}

// Makes the event's deliveries ordered by its ordering key, at every endpoint that it has.
inline NewEvent keyed(NewEvent event, const std::string& ordering_key) {
  event.event->ordering_key = ordering_key;
  for (FirstAttempt& first : event.endpoints) first.ordering = Ordering::kKey;
  return event;
}

// Matched just now.
inline constexpr DirectoryVersion kMatchedNow = std::numeric_limits<DirectoryVersion>::max();
inline AcceptEvents accepting(std::vector<NewEvent> events) {
  return {.events = std::move(events), .idempotency_window = kDay, .matched = kMatchedNow};
}
inline AnnounceEvent announcing(NewEvent event) {
  return {.event = std::make_shared<const NewEvent>(std::move(event)), .matched = kMatchedNow};
}
inline SetFailingSince failing_since(EndpointSeq endpoint, std::optional<Time> since) {
  return {.endpoint = endpoint, .since = since};
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

inline RecordOutcome with_attempt(RecordOutcome outcome, Attempt attempt) {
  outcome.attempt = std::make_shared<const Attempt>(std::move(attempt));
  return outcome;
}
inline RecordOutcome without_attempt(RecordOutcome outcome) {
  outcome.attempt = nullptr;
  return outcome;
}
inline RecordOutcome failed(DeliveryKey key, int number, Millis due_in = Millis(0)) {
  RecordOutcome outcome;
  outcome.key = key;
  outcome.due_in = due_in;
  outcome.at = kNow;
  return with_attempt(std::move(outcome), new_attempt(number));
}
inline RecordOutcome died(DeliveryKey key, int number, DeadReason reason = DeadReason::kExhausted) {
  RecordOutcome outcome = failed(key, number);
  outcome.state = DeliveryState::kDead;
  outcome.reason = reason;
  return outcome;
}
inline RecordOutcome delivered(DeliveryKey key, int number) {
  RecordOutcome outcome = with_attempt(failed(key, number), new_attempt(number, Outcome::kSuccess));
  outcome.state = DeliveryState::kDelivered;
  return outcome;
}

// Applies commands in one transaction.
inline Applied apply_all(Store& store, const std::vector<Command>& commands, bool repeat = false) {
  std::vector<const Command*> batch;
  batch.reserve(commands.size());
  for (const Command& command : commands) batch.push_back(&command);
  return store.writer().apply({batch, store.ownership().token, repeat});
}
template <class C>
Result<typename C::Answer> answer_to(const Applied& applied, std::size_t index) {
  const Result<AnyAnswer>& answer = applied.answers.at(index);
  if (!answer) return tl::unexpected(answer.error());
  return std::get<typename C::Answer>(*answer);
}
template <class F>
std::vector<F> only(const Facts& facts) {
  std::vector<F> some;
  for (const Fact& fact : facts) {
    if (const auto* one = std::get_if<F>(&fact)) some.push_back(*one);
  }
  return some;
}

// The result of one command in a transaction of its own: its answer and its facts.
template <class C>
struct Done : Result<typename C::Answer> {
  Facts facts;
};
template <class C>
Done<C> apply(Store& store, C command, bool repeat = false) {
  Applied applied = apply_all(store, {Command(std::move(command))}, repeat);
  return {answer_to<C>(applied, 0), std::move(applied.facts)};
}

// The kind of the StoreError that `act` throws; absent: it threw nothing.
template <class Act>
std::optional<StoreError::Kind> kind_thrown_by(Act act) {
  try {
    act();
  } catch (const StoreError& error) {
    return error.kind;
  }
  return std::nullopt;
}

}  // namespace outboxd::test
