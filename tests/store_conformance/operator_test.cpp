#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

struct OneDelivery : Fixture {
  Endpoint endpoint = create();
  NewEvent event = new_event({endpoint.seq});
  DeliveryKey key{accept_one(event), endpoint.seq};
};

}  // namespace

TEST_CASE_FIXTURE(OneDelivery,
                  "a dead delivery that is retried starts its schedule anew and goes on counting attempts") {
  apply(failed(key, 1));
  apply(died(key, 2));
  const Time later = kNow + Millis(1000);
  wait_until(later);
  const auto answer = apply(ChangeDelivery{key, DeliveryState::kPending, later});
  REQUIRE(answer);
  CHECK(answer->state == DeliveryState::kPending);
  CHECK(answer->attempts == 0);
  CHECK(answer->due_at == later);
  CHECK_FALSE(answer->reason);
  CHECK_FALSE(answer->finished_at);
  const auto due = reader->due(endpoint.seq, 1, 1000);
  REQUIRE(due.deliveries.size() == 1);
  CHECK(due.deliveries[0].attempts == 0);
  CHECK(due.deliveries[0].attempts_ever == 2);
  apply(delivered(key, 3));
  CHECK(reader->attempts(key).size() == 3);
  CHECK(reader->status().dead == 0);
  CHECK(reader->status().delivered == 1);
}

TEST_CASE_FIXTURE(OneDelivery, "an operator discards what is pending or dead, and nothing else") {
  auto answer = apply(ChangeDelivery{key, DeliveryState::kDiscarded, kNow});
  REQUIRE(answer);
  CHECK(answer->state == DeliveryState::kDiscarded);
  CHECK(answer->finished_at == kNow);
  CHECK(reader->due(endpoint.seq, 1, 1000).deliveries.empty());
  CHECK(apply(ChangeDelivery{key, DeliveryState::kDiscarded, kNow}).error().code == ProblemCode::kConflict);
  CHECK(apply(ChangeDelivery{key, DeliveryState::kDelivered, kNow}).error().code == ProblemCode::kConflict);
}

TEST_CASE_FIXTURE(OneDelivery, "what is not there cannot be changed, what lost its endpoint not be retried") {
  CHECK(apply(ChangeDelivery{{key.event + 1, key.endpoint}, DeliveryState::kPending, kNow}).error().code ==
        ProblemCode::kNotFound);
  apply(died(key, 1));
  apply(RemoveEndpoint{endpoint.id, kNow});
  CHECK(apply(ChangeDelivery{key, DeliveryState::kPending, kNow}).error().code == ProblemCode::kConflict);
}

TEST_CASE_FIXTURE(OneDelivery,
                  "a replay puts finished deliveries back and makes those that were never there") {
  apply(delivered(key, 1));
  const auto other = create().seq;
  const Time later = kNow + Millis(1000);
  wait_until(later);
  const auto answer = apply(ReplayEvent{event.event->id, {endpoint.seq, other}, later});
  REQUIRE(answer);
  CHECK(answer->deliveries == 2);
  CHECK(delivery(key).state == DeliveryState::kPending);
  CHECK(delivery(key).due_at == later);
  CHECK(delivery({key.event, other}).state == DeliveryState::kPending);
  CHECK(reader->event(event.event->id, false)->deliveries == 2);
  CHECK(reader->status().pending == 2);
  CHECK(reader->status().delivered == 0);
}

TEST_CASE_FIXTURE(Fixture,
                  "what an operator retries or replays expires no more, whatever became of it before") {
  const Endpoint endpoint = create();
  NewEvent event = new_event({endpoint.seq});
  event.event->expires_at = kNow + Millis(3000);
  const DeliveryKey key{accept_one(event), endpoint.seq};
  const Time later = kNow + kDay;
  SUBCASE("an expired dead letter is retried") {
    apply(without_attempt(died(key, 1, DeadReason::kExpired)));
    REQUIRE(apply(ChangeDelivery{key, DeliveryState::kPending, later}));
  }
  SUBCASE("what was delivered is replayed") {
    apply(delivered(key, 1));
    REQUIRE(apply(ReplayEvent{event.event->id, {endpoint.seq}, later}));
  }
  SUBCASE("what is pending is replayed") {
    REQUIRE(apply(ReplayEvent{event.event->id, {endpoint.seq}, later}));
  }
  SUBCASE("what was discarded is retried") {
    apply(ChangeDelivery{key, DeliveryState::kDiscarded, kNow});
    REQUIRE(apply(ChangeDelivery{key, DeliveryState::kPending, later}));
  }
  wait_until(later);
  const auto due = reader->due(endpoint.seq, 10, 1000).deliveries;
  REQUIRE(due.size() == 1);
  CHECK_FALSE(due[0].expires_at);
  CHECK(reader->expired(later, {}, 10).empty());
  CHECK(reader->event(event.event->id, false)->event.expires_at == kNow + Millis(3000));
}

TEST_CASE_FIXTURE(OneDelivery, "a replay of an unknown event, or to an unknown endpoint, changes nothing") {
  CHECK(apply(ReplayEvent{EventId{ids().next()}, {endpoint.seq}, kNow}).error().code ==
        ProblemCode::kNotFound);
  apply(delivered(key, 1));
  CHECK(apply(ReplayEvent{event.event->id, {endpoint.seq, 77}, kNow}).error().code == ProblemCode::kNotFound);
  CHECK(delivery(key).state == DeliveryState::kDelivered);
}
