// What the commit of each kind of command makes true, as it is told.
#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

constexpr Millis kSecond{1000};

struct Told : Fixture {
  Endpoint endpoint = create();

  template <class F, class C>
  F only_fact(const Done<C>& done) {
    REQUIRE(done.facts.size() == 1);
    REQUIRE(std::holds_alternative<F>(done.facts[0]));
    return std::get<F>(done.facts[0]);
  }
  DeliveryKey add() { return {accept_one(new_event({endpoint.seq})), endpoint.seq}; }
};

}  // namespace

TEST_CASE_FIXTURE(Told,
                  "an accepted event is told of for each endpoint, with itself, its wait and its number") {
  const EndpointSeq other = create().seq;
  NewEvent event = new_event({endpoint.seq, other});
  event.endpoints[1].due_in = 10 * kSecond;
  event.event->expires_at = kNow + kDay;
  wait_until(kNow + kSecond);
  const auto ready = only<DeliveryReady>(accept({event}).facts);
  REQUIRE(ready.size() == 2);
  for (const DeliveryReady& fact : ready) {
    CHECK(fact.delivery.event == event.event);
    CHECK(fact.delivery.key.event == event.event->seq);
    CHECK(fact.delivery.created_at == kNow);
    CHECK(fact.delivery.expires_at == kNow + kDay);
    CHECK(fact.delivery.attempts == 0);
    CHECK(fact.delivery.attempts_ever == 0);
    CHECK_FALSE(fact.delivery.sequence_key);
  }
  CHECK(ready[0].delivery.key.endpoint == endpoint.seq);
  CHECK(ready[0].delivery.due_in <= Millis(0));
  CHECK(ready[1].delivery.key.endpoint == other);
  CHECK(ready[1].delivery.due_in == 9 * kSecond);
  CHECK(ready[1].delivery.due_at - ready[0].delivery.due_at == 10 * kSecond);
  // As it is read later.
  CHECK(reader->due(endpoint.seq, 10, 1000).deliveries.at(0).due_at == ready[0].delivery.due_at);
  CHECK(reader->due(other, 10, 1000).next_due_in == 9 * kSecond);
}

TEST_CASE_FIXTURE(Told, "a duplicate and a refused command make nothing true; an announced event does") {
  accept({with_key(new_event({endpoint.seq}), "k", 'a')});
  CHECK(accept({with_key(new_event({endpoint.seq}), "k", 'a')}).facts.empty());
  CHECK(accept({with_key(new_event({endpoint.seq}), "k", 'b')}).facts.empty());
  CHECK(apply(ReplayEvent{EventId{ids().next()}, {endpoint.seq}, kNow}).facts.empty());
  CHECK(apply(RemoveEndpoint{EndpointId{ids().next()}, kNow}).facts.empty());
  CHECK(update(endpoint, kNow - kDay).facts.empty());
  const NewEvent own = new_event({endpoint.seq});
  CHECK(only_fact<DeliveryReady>(apply(announcing(own))).delivery.event == own.event);
}

TEST_CASE_FIXTURE(Told, "an outcome is told of with where its delivery stands, and with what came with it") {
  const DeliveryKey key = add();
  RecordOutcome outcome = failed(key, 1, 5 * kSecond);
  outcome.subject = std::make_shared<const OutcomeSubject>();
  outcome.at = kNow + kSecond;
  wait_until(kNow + 3 * kSecond);
  auto done = apply(outcome);
  OutcomeRecorded fact = only_fact<OutcomeRecorded>(done);
  CHECK(fact.key == key);
  CHECK(fact.at == kNow + kSecond);
  CHECK(fact.attempt == outcome.attempt);
  CHECK(fact.subject == outcome.subject);
  CHECK(fact.now.moved);
  CHECK(fact.now.state == DeliveryState::kPending);
  CHECK(fact.now.due_at == kNow + 6 * kSecond);
  CHECK(fact.due_in == 3 * kSecond);
  CHECK(done->due_at == kNow + 6 * kSecond);
  done = apply(died(key, 2));
  fact = only_fact<OutcomeRecorded>(done);
  CHECK(fact.now.moved);
  CHECK(fact.now.state == DeliveryState::kDead);
  CHECK(fact.now.reason == DeadReason::kExhausted);
  CHECK_FALSE(fact.now.due_at);
  CHECK_FALSE(fact.due_in);
  CHECK(done->state == DeliveryState::kDead);
}

TEST_CASE_FIXTURE(Told,
                  "an outcome that moves nothing is told of all the same, also of a delivery that is gone") {
  const DeliveryKey key = add();
  apply(ChangeDelivery{key, DeliveryState::kDiscarded, kNow});
  OutcomeRecorded fact = only_fact<OutcomeRecorded>(apply(delivered(key, 1)));
  CHECK_FALSE(fact.now.moved);
  CHECK(fact.now.state == DeliveryState::kDiscarded);
  const DeliveryKey dead = add();
  apply(died(dead, 1));
  fact = only_fact<OutcomeRecorded>(apply(failed(dead, 2, kSecond)));
  CHECK_FALSE(fact.now.moved);
  CHECK(fact.now.state == DeliveryState::kDead);
  CHECK(fact.now.reason == DeadReason::kExhausted);
  CHECK_FALSE(fact.due_in);
  fact = only_fact<OutcomeRecorded>(apply(delivered({77, endpoint.seq}, 1)));
  CHECK_FALSE(fact.now.moved);
  CHECK(fact.now.state == DeliveryState::kDiscarded);
}

TEST_CASE_FIXTURE(Told, "each change of an endpoint is told of with a version of its own") {
  const DirectoryVersion before = reader->all_endpoints().version;
  auto fact = only_fact<EndpointChanged>(update(endpoint, endpoint.updated_at));
  CHECK(fact.endpoint == endpoint.seq);
  CHECK(fact.version == before + 1);
  CHECK_FALSE(fact.disabled);
  CHECK(fact.now->updated_at > endpoint.updated_at);
  fact = only_fact<EndpointChanged>(apply(DisableEndpoint{endpoint.id, kNow, fact.now->updated_at, "gone"}));
  CHECK(fact.version == before + 2);
  CHECK(fact.disabled);
  CHECK(fact.now->state == EndpointState::kDisabled);
  fact = only_fact<EndpointChanged>(
      apply(SetEndpointState{endpoint.id, kNow, EndpointState::kDisabled, "operator"}));
  CHECK(fact.version == before + 3);
  CHECK_FALSE(fact.disabled);
  fact = only_fact<EndpointChanged>(apply(RemoveEndpoint{endpoint.id, kNow}));
  CHECK(fact.endpoint == endpoint.seq);
  CHECK(fact.version == before + 4);
  CHECK_FALSE(fact.now);
  fact = only_fact<EndpointChanged>(apply(CreateEndpoint{shared(new_endpoint())}));
  CHECK(fact.version == before + 5);
  CHECK(fact.now->seq == fact.endpoint);
  CHECK(reader->all_endpoints().version == before + 5);
}

TEST_CASE_FIXTURE(Told, "an endpoint that fails, and one that answers again, is told of, unless it is gone") {
  SetFailingSince fails = failing_since(endpoint.seq, kNow);
  fails.error = Outcome::kTimeout;
  const auto failing = only_fact<EndpointFailing>(apply(fails));
  CHECK(failing.endpoint == endpoint.seq);
  CHECK(failing.failing_since == kNow);
  CHECK(failing.error == Outcome::kTimeout);
  const SetFailingSince recovered{
      .endpoint = endpoint.seq, .since = std::nullopt, .recovered_from = kNow - kDay};
  const auto fact = only_fact<EndpointRecovered>(apply(recovered));
  CHECK(fact.endpoint == endpoint.seq);
  CHECK(fact.failing_since == kNow - kDay);
  apply(RemoveEndpoint{endpoint.id, kNow});
  CHECK(apply(recovered).facts.empty());
  CHECK(apply(fails).facts.empty());
}

TEST_CASE_FIXTURE(Told,
                  "an operator's hand is told of: first what is not to be sent, then what is to be tried") {
  Endpoint in_order = endpoint;
  in_order.ordering = Ordering::kKey;
  update(in_order, endpoint.updated_at);
  const EventSeq first = accept_one(keyed(new_event({endpoint.seq}), "a"));
  const EventSeq second = accept_one(keyed(new_event({endpoint.seq}), "a"));
  const auto check_both = [&](const Facts& facts, EventSeq withdrawn) {
    REQUIRE(facts.size() == 2);
    REQUIRE(std::holds_alternative<DeliveryWithdrawn>(facts[0]));
    CHECK(std::get<DeliveryWithdrawn>(facts[0]).key == DeliveryKey{withdrawn, endpoint.seq});
    REQUIRE(std::holds_alternative<DueOnDisk>(facts[1]));
    CHECK(std::get<DueOnDisk>(facts[1]).endpoint == endpoint.seq);
    CHECK(std::get<DueOnDisk>(facts[1]).due_in == Millis(0));
    CHECK(std::get<DueOnDisk>(facts[1]).by_operator);
  };
  const DeliveryKey key{first, endpoint.seq};
  check_both(apply(ChangeDelivery{key, DeliveryState::kDiscarded, kNow}).facts, first);
  check_both(apply(ChangeDelivery{key, DeliveryState::kPending, kNow}).facts, second);
  apply(delivered(key, 1));
  check_both(apply(ReplayEvent{reader->delivery(key)->event, {endpoint.seq}, kNow}).facts, second);
  const DeliveryKey alone = add();
  CHECK(only_fact<DeliveryWithdrawn>(apply(ChangeDelivery{alone, DeliveryState::kDiscarded, kNow})).key ==
        alone);
  CHECK(only_fact<DueOnDisk>(apply(ChangeDelivery{alone, DeliveryState::kPending, kNow})).by_operator);
}

TEST_CASE_FIXTURE(Told, "facts of a batch come in the order of its commands") {
  const DeliveryKey key = add();
  const Applied applied =
      apply_all({accepting({new_event({endpoint.seq})}), delivered(key, 1),
                 ReplayEvent{EventId{ids().next()}, {}, kNow}, RemoveEndpoint{endpoint.id, kNow}});
  REQUIRE(applied.answers.size() == 4);
  CHECK_FALSE(applied.answers[2]);
  REQUIRE(applied.facts.size() == 3);
  CHECK(std::holds_alternative<DeliveryReady>(applied.facts[0]));
  CHECK(std::holds_alternative<OutcomeRecorded>(applied.facts[1]));
  CHECK(std::holds_alternative<EndpointChanged>(applied.facts[2]));
}

TEST_CASE_FIXTURE(Told, "a batch of somebody who does not own the store is turned away") {
  const Command command = accepting({new_event({endpoint.seq})});
  const Command* batch[] = {&command};
  CHECK(kind_thrown_by([&] {
          store().writer().apply({batch, OwnerToken{"another"}, false});
        }) == StoreError::Kind::kFenced);
  CHECK(reader->status().events == 0);
  CHECK_FALSE(store().ownership().token.text.empty());
  CHECK(store().ownership().partitions.any());
}
