#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

const Time kLater = kNow + kDay * 10;

// What was delivered is kept for a day, dead letters for eight; it is ten days later.
Prune prune_step(std::int64_t limit = 256, DeliveryKey after = {}) {
  return {.delivered_before = kLater - kDay,
          .dead_before = kLater - kDay * 8,
          .at = kLater,
          .limit = limit,
          .after = after};
}

RecordOutcome finished(DeliveryKey key, DeliveryState state, Time at) {
  RecordOutcome outcome = delivered(key, 1);
  outcome.state = state;
  if (state == DeliveryState::kDead) outcome.reason = DeadReason::kExhausted;
  outcome.at = at;
  return outcome;
}

// 0 for a store that does not tell.
std::int64_t free_bytes(const StoreStatus& status) {
  for (const auto& [name, value] : status.figures) {
    if (name == "free_bytes") return value;
  }
  return 0;
}

struct Retention : Fixture {
  EndpointSeq endpoint = create().seq;
  EndpointSeq other = create().seq;
  int steps = 0;  // of the last prune_all

  // One event, accepted long ago, for so many endpoints, of which the last `finished` have it delivered.
  EventSeq accept_wide(int endpoints, int finished) {
    NewEvent event = new_event();
    const EndpointSeq first = 1000;
    for (int i = 0; i < endpoints; ++i) event.endpoints.push_back({.endpoint = first + i});
    const EventSeq seq = accept_one(std::move(event));
    std::vector<Command> outcomes;
    for (int i = endpoints - finished; i < endpoints; ++i)
      outcomes.emplace_back(delivered({seq, first + i}, 1));
    apply_all(outcomes);
    return seq;
  }

  Pruned prune_all(std::int64_t limit = 256) {
    Pruned all;
    std::optional<DeliveryKey> after = DeliveryKey{};
    for (steps = 0; after && steps < 1000; ++steps) {
      const auto answer = apply(prune_step(limit, *after));
      REQUIRE(answer);
      const Pruned& some = *answer;
      CHECK(some.events + some.deliveries + some.attempts + some.idempotency_keys + some.outbox_rows +
                some.endpoints <=
            limit + 4);
      all.events += some.events;
      all.deliveries += some.deliveries;
      all.attempts += some.attempts;
      all.idempotency_keys += some.idempotency_keys;
      all.outbox_rows += some.outbox_rows;
      all.endpoints += some.endpoints;
      after = some.next;
    }
    CHECK_FALSE(after);
    return all;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Retention, "an event goes with its last delivery, once each is past its keeping") {
  const auto old = accept_one(new_event({endpoint, other}));
  apply(finished({old, endpoint}, DeliveryState::kDelivered, kNow));
  apply(finished({old, other}, DeliveryState::kDead, kNow + kDay));
  const auto mixed = accept_one(new_event({endpoint, other}));
  apply(finished({mixed, endpoint}, DeliveryState::kDelivered, kNow));
  apply(finished({mixed, other}, DeliveryState::kDead, kNow + kDay * 3));
  const auto recent = accept_one(new_event({endpoint}));
  apply(finished({recent, endpoint}, DeliveryState::kDelivered, kLater - kDay));

  const Pruned pruned = prune_all();
  CHECK(pruned.events == 1);
  CHECK(pruned.deliveries == 3);
  CHECK(pruned.attempts == 3);
  CHECK_FALSE(reader->delivery({old, endpoint}));
  CHECK(reader->attempts({old, endpoint}).empty());
  CHECK_FALSE(reader->delivery({mixed, endpoint}));
  CHECK(delivery({mixed, other}).state == DeliveryState::kDead);
  CHECK(delivery({recent, endpoint}).state == DeliveryState::kDelivered);
  const auto status = reader->status();
  CHECK(status.events == 2);
  CHECK(status.delivered == 1);
  CHECK(status.dead == 1);
}

TEST_CASE_FIXTURE(Retention, "what is pending stays, however old") {
  const auto pending = accept_one(new_event({endpoint, other}));
  apply(finished({pending, other}, DeliveryState::kDelivered, kNow));
  CHECK(prune_all().events == 0);
  CHECK(due(endpoint) == std::vector<EventSeq>{pending});
}

TEST_CASE_FIXTURE(Retention, "an event that matched nobody goes when it is old") {
  accept_one(new_event());
  CHECK(prune_all().events == 1);
  CHECK(reader->status().events == 0);
  CHECK(prune_all().events == 0);
}

TEST_CASE_FIXTURE(Retention, "an event whose fan-out is not finished stays") {
  NewEvent event = new_event();
  event.more_after = 0;
  accept_one(std::move(event));
  CHECK(prune_all().events == 0);
  CHECK(reader->unfinished_fan_outs(0, 10).size() == 1);
}

TEST_CASE_FIXTURE(Retention, "what was made ahead of its fan-out stays until that has come to it") {
  NewEvent event = new_event({endpoint});  // in its order, so at once
  event.more_after = 0;
  event.deliveries = 1;
  const EventSeq seq = accept_one(std::move(event));
  const DeliveryKey key{seq, endpoint};
  apply_all({finished(key, DeliveryState::kDelivered, kNow)});
  CHECK(prune_all().deliveries == 0);
  apply_all({ExpandEvent{.event = reader->unfinished_fan_outs(0, 10).at(0).event,
                         .endpoints = {{.endpoint = endpoint}},
                         .more_after = std::nullopt,
                         .matched = reader->all_endpoints().version}});
  CHECK(due(endpoint).empty());
  CHECK(prune_all().deliveries == 1);
}

TEST_CASE_FIXTURE(Retention, "idempotency keys go when they expire, before their events") {
  accept({with_key(new_event({endpoint}), "k", 'a')});
  CHECK(prune_all().idempotency_keys == 1);
  CHECK(accept({with_key(new_event(), "k", 'b')}));
}

TEST_CASE_FIXTURE(Retention, "rejected rows of the outbox are kept as long as dead letters") {
  for (int i = 0; i < 3; ++i)
    REQUIRE(subject->produce("INSERT INTO outbox(type, payload) VALUES ('a.b', '{}')"));
  const auto rows = reader->outbox(10, 1000);
  apply(RejectOutboxRow{rows[0].row, kNow, "no"});
  apply(RejectOutboxRow{rows[1].row, kLater - kDay * 8, "no"});
  CHECK(prune_all().outbox_rows == 1);
  CHECK(reader->status().outbox_rejected == 1);
  CHECK(reader->outbox(10, 1000).size() == 1);
}

TEST_CASE_FIXTURE(Retention, "a removed endpoint goes after its deliveries") {
  const Endpoint removed = create();
  const auto event = accept_one(new_event({removed.seq}));
  REQUIRE(apply(RemoveEndpoint{removed.id, kNow}));
  CHECK(prune_all().endpoints == 0);  // it may have pending deliveries
  apply(DiscardRemoved{.limit = 1000, .at = kNow});
  apply(DiscardRemoved{.limit = 1000, .at = kNow});
  const Pruned pruned = prune_all();
  CHECK(pruned.endpoints == 1);
  CHECK(pruned.deliveries == 1);
  CHECK_FALSE(reader->delivery({event, removed.seq}));
  CHECK(reader->all_endpoints().endpoints.size() == 2);
}

TEST_CASE_FIXTURE(Retention, "steps are bounded, and together they do it all") {
  std::vector<NewEvent> events;
  events.reserve(50);
  for (int i = 0; i < 50; ++i) events.push_back(new_event({endpoint, other}));
  accept(std::move(events));
  for (EventSeq event = 1; event <= 50; ++event) {
    apply(finished({event, endpoint}, DeliveryState::kDelivered, kNow));
    apply(finished({event, other}, event % 5 ? DeliveryState::kDiscarded : DeliveryState::kDead,
                   event % 2 ? kNow : kLater));
  }
  const Pruned pruned = prune_all(7);
  CHECK(pruned.deliveries == 75);
  CHECK(pruned.events == 25);
  CHECK(reader->status().events == 25);
}

TEST_CASE_FIXTURE(Retention, "what a step looks at is bounded too, however much of it is kept") {
  const auto wide = accept_wide(5000, 1);
  for (int i = 0; i < 3; ++i) accept_wide(1000, 0);
  const auto last = accept_one(new_event({endpoint}));
  apply(finished({last, endpoint}, DeliveryState::kDelivered, kNow));
  const Pruned first = *apply(prune_step());
  REQUIRE(first.next);
  CHECK(first.next->event == wide);  // in the midst of it
  CHECK(first.next->endpoint > 0);
  CHECK(first.deliveries == 0);
  const Pruned pruned = prune_all();
  CHECK(steps >= 4);
  CHECK(pruned.deliveries == 2);
  CHECK(pruned.events == 1);
  CHECK(reader->status().pending == 4999 + 3000);
  CHECK(reader->status().events == 4);
}

TEST_CASE_FIXTURE(
    Retention,
    "an event that takes several steps goes with the last of them, or stays for what one of them kept") {
  accept_wide(3000, 3000);
  accept_wide(3000, 2900);
  const Pruned pruned = prune_all();
  CHECK(pruned.deliveries == 5900);
  CHECK(pruned.events == 1);
  CHECK(reader->status().pending == 100);
  CHECK(reader->status().events == 1);
}

TEST_CASE_FIXTURE(Retention, "an event accepted while the clock was far ahead holds up nobody") {
  NewEvent future = new_event({endpoint});
  ManualClock clock(kNow + kDay * 400);
  UuidGenerator far(clock);
  future.event->id = EventId{far.next()};
  accept_one(std::move(future));
  const auto old = accept_one(new_event({endpoint}));
  apply(finished({old, endpoint}, DeliveryState::kDelivered, kNow));
  CHECK(prune_all().events == 1);
  CHECK(reader->status().events == 1);
}

TEST_CASE_FIXTURE(Retention, "the room of what was deleted is given back") {
  for (int round = 0; round < 20; ++round) {
    std::vector<NewEvent> events;
    for (int i = 0; i < 50; ++i) {
      events.push_back(new_event());
      events.back().event->payload.assign(20'000, 'x');
    }
    accept(std::move(events));
  }
  const auto full = reader->status();
  prune_all();
  const auto empty = reader->status();
  CHECK(empty.events == 0);
  CHECK(free_bytes(full) < (2 << 20));
  CHECK(free_bytes(empty) <= (2 << 20));
}
