// Deliveries in order: of those pending with one endpoint and order key only the head may be attempted.
#include <algorithm>

#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

using Events = std::vector<EventSeq>;

Endpoint by(Ordering ordering) {
  Endpoint e = new_endpoint();
  e.ordering = ordering;
  return e;
}

struct InOrder : Fixture {
  Endpoint made = create(by(Ordering::kKey));
  EndpointSeq endpoint = made.seq;

  EventSeq add(const std::string& key) { return accept_one(keyed(new_event({endpoint}), key)); }
  DeliveryKey at(EventSeq event) const { return {event, endpoint}; }
  Events due_now() { return due(endpoint); }
  EventId id_of(EventSeq event) { return reader->delivery(at(event))->event; }
  void set_ordering(Ordering ordering) {
    Endpoint changed = *reader->endpoint(made.id);
    changed.ordering = ordering;
    REQUIRE(update(changed, changed.updated_at));
  }
  bool promotes(const RecordOutcome& outcome) {
    const auto recorded = only<OutcomeRecorded>(apply(outcome).facts);
    REQUIRE(recorded.size() == 1);
    return recorded[0].promoted;
  }
  // Is this one the head after that?
  bool promotes(const RecordOutcome& outcome, DeliveryKey next) {
    const bool promoted = promotes(outcome);
    const Events heads = due_now();
    return promoted && std::find(heads.begin(), heads.end(), next.event) != heads.end();
  }
  static std::vector<DeliveryKey> withdrawn(const Facts& facts) {
    std::vector<DeliveryKey> keys;
    for (const auto& fact : only<DeliveryWithdrawn>(facts)) keys.push_back(fact.key);
    return keys;
  }
  Facts retry(EventSeq event) {
    return apply(ChangeDelivery{at(event), DeliveryState::kPending, kNow}).facts;
  }
  Facts discard(EventSeq event) {
    return apply(ChangeDelivery{at(event), DeliveryState::kDiscarded, kNow}).facts;
  }
};

}  // namespace

TEST_CASE_FIXTURE(InOrder, "of the deliveries with one order key only the first accepted may be attempted") {
  const auto a1 = add("a"), a2 = add("a"), b1 = add("b"), a3 = add("a");
  const auto free = accept_one(new_event({endpoint}));
  CHECK(due_now() == Events{a1, b1, free});
  CHECK(reader->due(endpoint, 10, 1000).deliveries[0].sequence_key == "a");
  CHECK_FALSE(reader->due(endpoint, 10, 1000).deliveries[2].sequence_key);
  CHECK(reader->status().pending == 5);
  CHECK(delivery(at(a2)).state == DeliveryState::kPending);
  reopen();
  CHECK(due_now() == Events{a1, b1, free});
  CHECK_FALSE(reader->due(endpoint, 10, 1000).next_due_in);
  CHECK(promotes(delivered(at(a1), 1), at(a2)));
  CHECK(promotes(delivered(at(a2), 1), at(a3)));
}

TEST_CASE_FIXTURE(
    InOrder,
    "of what is accepted only that which nothing blocks is told to be ready, also within one command") {
  const auto other = create(by(Ordering::kKey)).seq;
  NewEvent first = keyed(new_event({endpoint}), "a"), second = keyed(new_event({endpoint, other}), "a");
  NewEvent third = new_event({endpoint});
  const auto ready = only<DeliveryReady>(accept({first, second, third}).facts);
  REQUIRE(ready.size() == 3);
  CHECK(ready[0].delivery.event == first.event);
  CHECK(ready[0].delivery.sequence_key == "a");
  CHECK(ready[1].delivery.key == DeliveryKey{second.event->seq, other});
  CHECK(ready[2].delivery.event == third.event);
  CHECK_FALSE(ready[2].delivery.sequence_key);
}

TEST_CASE_FIXTURE(InOrder, "ordered by endpoint, everything goes one at a time, whatever its ordering key") {
  const auto one_by_one = create(by(Ordering::kEndpoint)).seq;
  Events events;
  for (const char* key : {"a", "b", ""}) {
    NewEvent event = new_event({one_by_one});
    if (*key != '\0') event.event->ordering_key = key;
    event.endpoints[0].ordering = Ordering::kEndpoint;
    events.push_back(accept_one(std::move(event)));
  }
  for (const EventSeq event : events) {
    CHECK(due(one_by_one) == Events{event});
    apply(delivered({event, one_by_one}, 1));
  }
  CHECK(due(one_by_one).empty());
}

TEST_CASE_FIXTURE(InOrder, "without an ordering key an event is in no order") {
  const auto first = add("a");
  NewEvent keyless = new_event({endpoint});
  keyless.endpoints[0].ordering = Ordering::kKey;
  CHECK(due_now() == Events{first});
  const auto second = accept_one(keyless);
  CHECK(due_now() == Events{first, second});
}

TEST_CASE_FIXTURE(InOrder, "a head that leaves pending makes the next one the head, due when it was") {
  const auto first = add("a");
  NewEvent later = keyed(new_event({endpoint}), "a");
  later.endpoints[0].due_in = Millis(500);
  const auto second = accept_one(std::move(later));
  const auto other = add("b");
  RecordOutcome outcome = delivered(at(first), 1);
  SUBCASE("delivered") {}
  SUBCASE("dead") {
    outcome = died(at(first), 1);
  }
  SUBCASE("dead, without an attempt") {
    outcome = without_attempt(died(at(first), 1, DeadReason::kTooLarge));
  }
  CHECK(promotes(outcome));
  CHECK(due_now() == Events{other});
  CHECK(reader->due(endpoint, 10, 1000).next_due_in == Millis(500));
  CHECK(due(endpoint, kNow + Millis(500)) == Events{other, second});
  reopen();
  CHECK(due(endpoint, kNow + Millis(500)) == Events{other, second});
}

TEST_CASE_FIXTURE(InOrder, "a head that is to be tried again stays the head") {
  const auto first = add("a"), second = add("a");
  CHECK_FALSE(promotes(failed(at(first), 1, Millis(100))));
  CHECK(due_now().empty());
  CHECK(due(endpoint, kNow + Millis(100)) == Events{first});
  CHECK(reader->attempts(at(first)).size() == 1);
  CHECK(promotes(delivered(at(first), 2), at(second)));
}

TEST_CASE_FIXTURE(InOrder, "the last one of a key has none after it, and keys do not move each other") {
  const auto a = add("a"), b = add("b"), b2 = add("b");
  CHECK_FALSE(promotes(delivered(at(a), 1)));
  CHECK(due_now() == Events{b});
  CHECK(promotes(delivered(at(b), 1), at(b2)));
}

TEST_CASE_FIXTURE(InOrder,
                  "an outcome that comes twice, or for what an operator took away, moves nothing up") {
  const auto a1 = add("a"), a2 = add("a"), a3 = add("a");
  CHECK(promotes(delivered(at(a1), 1), at(a2)));
  CHECK_FALSE(promotes(delivered(at(a1), 1)));
  CHECK(due_now() == Events{a2});
  apply(ChangeDelivery{at(a2), DeliveryState::kDiscarded, kNow});
  CHECK_FALSE(promotes(delivered(at(a2), 1)));
  CHECK(due_now() == Events{a3});
}

TEST_CASE_FIXTURE(InOrder,
                  "discarding the head moves the next one up; discarding one behind closes the gap") {
  const auto a1 = add("a"), a2 = add("a"), a3 = add("a"), a4 = add("a");
  Facts facts = discard(a2);
  CHECK(withdrawn(facts) == std::vector{at(a2)});
  CHECK(only<DueOnDisk>(facts).empty());
  CHECK(due_now() == Events{a1});
  facts = discard(a1);
  CHECK(withdrawn(facts) == std::vector{at(a1)});
  REQUIRE(only<DueOnDisk>(facts).size() == 1);
  CHECK(only<DueOnDisk>(facts)[0].endpoint == endpoint);
  CHECK(only<DueOnDisk>(facts)[0].by_operator);
  CHECK(due_now() == Events{a3});
  apply(died(at(a3), 1));
  CHECK(due_now() == Events{a4});
  // A dead one is not in the way of anybody.
  CHECK(only<DueOnDisk>(discard(a3)).empty());
  CHECK(due_now() == Events{a4});
}

TEST_CASE_FIXTURE(InOrder, "a retried delivery goes before what was accepted later") {
  const auto a1 = add("a"), a2 = add("a"), a3 = add("a");
  apply(died(at(a1), 1));
  CHECK(due_now() == Events{a2});
  CHECK(withdrawn(retry(a1)) == std::vector{at(a2)});
  CHECK(due_now() == Events{a1});
  reopen();
  CHECK(due_now() == Events{a1});
  // The one that was set back may have been on its way: its outcome counts, and moves nobody up.
  CHECK_FALSE(promotes(delivered(at(a2), 1)));
  CHECK(due_now() == Events{a1});
  CHECK(promotes(delivered(at(a1), 2), at(a3)));
}

TEST_CASE_FIXTURE(InOrder, "a retried delivery waits behind what was accepted earlier") {
  const auto a1 = add("a"), a2 = add("a"), a3 = add("a");
  apply(ChangeDelivery{at(a2), DeliveryState::kDiscarded, kNow});
  CHECK(withdrawn(retry(a2)).empty());
  CHECK(due_now() == Events{a1});
  CHECK(promotes(delivered(at(a1), 1), at(a2)));
  CHECK(promotes(delivered(at(a2), 1), at(a3)));
}

TEST_CASE_FIXTURE(InOrder, "a retry alone with its key is the head, and sets nobody back twice") {
  const auto a1 = add("a"), a2 = add("a"), a3 = add("a");
  for (const EventSeq event : {a1, a2, a3}) apply(died(at(event), 1));
  CHECK(withdrawn(retry(a3)).empty());
  CHECK(withdrawn(retry(a2)) == std::vector{at(a3)});
  CHECK(withdrawn(retry(a1)) == std::vector{at(a2)});
  for (const EventSeq event : {a1, a2, a3}) {
    CHECK(due_now() == Events{event});
    apply(delivered(at(event), 2));
  }
}

TEST_CASE_FIXTURE(InOrder, "a replay takes its places in the order of each endpoint") {
  const auto other = create(by(Ordering::kKey)).seq;
  const auto a1 = accept_one(keyed(new_event({endpoint, other}), "a"));
  const auto a2 = accept_one(keyed(new_event({endpoint, other}), "a"));
  const EventId first = id_of(a1);
  apply(delivered({a1, endpoint}, 1));
  const auto answer = apply(ReplayEvent{first, {endpoint, other}, kNow});
  REQUIRE(answer);
  // What was pending is read again: memory has its attempts and expiry of before.
  CHECK(withdrawn(answer.facts) == std::vector<DeliveryKey>{{a2, endpoint}, {a1, other}});
  CHECK(due_now() == Events{a1});
  CHECK(due(other) == Events{a1});
  CHECK(promotes(delivered({a1, endpoint}, 2), {a2, endpoint}));
}

TEST_CASE_FIXTURE(InOrder, "a replay to an endpoint that did not have the event finds its place there too") {
  const auto missed = accept_one(keyed(new_event(), "a")), a2 = add("a");
  const EventId id = reader->events({}, {10, ""})->rows[1].event.id;
  const auto answer = apply(ReplayEvent{id, {endpoint}, kNow});
  CHECK(withdrawn(answer.facts) == std::vector{at(a2)});
  CHECK(due_now() == Events{missed});
  CHECK(reader->status().pending == 2);
}

TEST_CASE_FIXTURE(InOrder, "replaying what is pending leaves it in its place") {
  const auto a1 = add("a"), a2 = add("a");
  for (const EventSeq event : {a1, a2}) {
    const auto told = withdrawn(apply(ReplayEvent{id_of(event), {endpoint}, kNow}).facts);
    CHECK(told == std::vector{at(event)});
    CHECK(due_now() == Events{a1});
  }
  CHECK(reader->status().pending == 2);
  CHECK(promotes(delivered(at(a1), 1), at(a2)));
}

TEST_CASE_FIXTURE(InOrder, "a new ordering holds for what is accepted or replayed from then on") {
  const auto a1 = add("a"), a2 = add("a"), a3 = add("a");
  set_ordering(Ordering::kNone);
  reopen();
  CHECK(due_now() == Events{a1});
  CHECK(promotes(delivered(at(a1), 1), at(a2)));
  // Replayed now, it leaves the order, and who waited behind it moves up.
  CHECK(withdrawn(apply(ReplayEvent{id_of(a2), {endpoint}, kNow}).facts) == std::vector{at(a2)});
  CHECK(due_now() == Events{a2, a3});
  CHECK_FALSE(reader->due(endpoint, 1, 1000).deliveries[0].sequence_key);
  set_ordering(Ordering::kEndpoint);
  apply(died(at(a2), 1));
  CHECK(withdrawn(retry(a2)).empty());
  CHECK(due_now() == Events{a2, a3});
  CHECK(reader->due(endpoint, 1, 1000).deliveries[0].sequence_key == "");
}

TEST_CASE_FIXTURE(InOrder, "what waits behind others goes too when its endpoint is removed, in steps") {
  Events events;
  for (int i = 0; i < 6; ++i) events.push_back(add(i % 2 == 0 ? "a" : "b"));
  events.push_back(accept_one(new_event({endpoint})));
  apply(RemoveEndpoint{made.id, kNow});
  CHECK(apply(DiscardRemoved{.limit = 4, .at = kNow})->deliveries == 4);
  reopen();
  CHECK(apply(DiscardRemoved{.limit = 4, .at = kNow})->deliveries == 3);
  CHECK(apply(DiscardRemoved{.limit = 4, .at = kNow})->deliveries == 0);
  for (const EventSeq event : events) CHECK(delivery(at(event)).state == DeliveryState::kDiscarded);
  CHECK(reader->status().pending == 0);
  CHECK(reader->status().discarded == 7);
}

TEST_CASE_FIXTURE(InOrder,
                  "however a line is worked off, each is attempted once it is the oldest pending one") {
  // Every third fails for good, every fourth is discarded while it waits, and the dead come back in the end.
  Events line, seen;
  for (int i = 0; i < 20; ++i) line.push_back(add("a"));
  for (std::size_t i = 3; i < line.size(); i += 4)
    apply(ChangeDelivery{at(line[i]), DeliveryState::kDiscarded, kNow});
  Events dead;
  const auto work_off = [&](bool may_die) {
    for (Events head = due_now(); !head.empty(); head = due_now()) {
      REQUIRE(head.size() == 1);
      seen.push_back(head[0]);
      const bool dies = may_die && head[0] % 3 == 0;
      if (dies) dead.push_back(head[0]);
      const bool promoted = promotes(dies ? died(at(head[0]), 1) : delivered(at(head[0]), 1));
      CHECK(due_now().size() == (promoted ? 1 : 0));
      reopen();
    }
  };
  work_off(true);
  CHECK(seen.size() == 15);
  CHECK(std::is_sorted(seen.begin(), seen.end()));
  std::reverse(dead.begin(), dead.end());
  for (const EventSeq event : dead) apply(ChangeDelivery{at(event), DeliveryState::kPending, kNow});
  seen.clear();
  work_off(false);
  std::reverse(dead.begin(), dead.end());
  CHECK(seen == dead);
  CHECK(reader->status().pending == 0);
}
