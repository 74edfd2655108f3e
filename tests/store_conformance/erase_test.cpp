// Erasing the payload of an event: its bytes go, everything else stays, and nothing of it is sent any more.
#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

struct Erasures : Fixture {
  std::vector<DeliveryKey> keys_of(const Facts& facts) {
    std::vector<DeliveryKey> keys;
    for (const Fact& fact : facts) {
      if (const auto* withdrawn = std::get_if<DeliveryWithdrawn>(&fact)) keys.push_back(withdrawn->key);
    }
    return keys;
  }
  std::vector<EndpointSeq> endpoints(int count) {
    std::vector<EndpointSeq> made;
    for (int i = 0; i < count; ++i) made.push_back(create().seq);
    return made;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Erasures, "the bytes go, what is pending is discarded, and the rest stays") {
  const auto to = endpoints(3);
  const NewEvent event = new_event(to);
  event.event->cloud_event = R"({"id":"1"})";
  const EventSeq seq = accept_one(event);
  apply(delivered({seq, to[0]}, 1));
  apply(died({seq, to[1]}, 1));
  const Time later = kNow + Millis(1000);
  const auto erased = apply(ErasePayload{.id = event.event->id, .at = later});
  REQUIRE(erased);
  CHECK(erased->at == later);
  CHECK(erased->discarded == 1);
  CHECK_FALSE(erased->next);
  CHECK(keys_of(erased.facts) == std::vector<DeliveryKey>{{seq, to[2]}});
  const auto row = reader->event(event.event->id, true);
  REQUIRE(row);
  CHECK(row->event.payload.empty());
  CHECK(row->payload_bytes == 0);
  CHECK(row->payload_erased_at == later);
  CHECK(row->event.type == event.event->type);
  CHECK(row->event.cloud_event == event.event->cloud_event);
  CHECK(row->deliveries == 3);
  CHECK(delivery({seq, to[0]}).state == DeliveryState::kDelivered);
  CHECK(delivery({seq, to[1]}).state == DeliveryState::kDead);
  CHECK(delivery({seq, to[2]}).state == DeliveryState::kDiscarded);
  CHECK(reader->attempts({seq, to[0]}).size() == 1);
  CHECK(reader->status().pending == 0);
  CHECK(reader->status().discarded == 1);
  reopen();
  CHECK(reader->event(event.event->id, false)->payload_erased_at == later);
}

TEST_CASE_FIXTURE(Erasures,
                  "what was erased is neither retried nor replayed, and stays erased since the first time") {
  const auto to = endpoints(1);
  const NewEvent event = new_event(to);
  const DeliveryKey key{accept_one(event), to[0]};
  apply(died(key, 1));
  apply(ErasePayload{.id = event.event->id, .at = kNow});
  CHECK(apply(ChangeDelivery{key, DeliveryState::kPending, kNow}).error().code == ProblemCode::kConflict);
  CHECK(apply(ReplayEvent{event.event->id, to, kNow}).error().code == ProblemCode::kConflict);
  CHECK(reader->status().pending == 0);
  const auto again = apply(ErasePayload{.id = event.event->id, .at = kNow + kDay});
  REQUIRE(again);
  CHECK(again->at == kNow);
  CHECK(again->discarded == 0);
  CHECK(apply(ErasePayload{.id = EventId{ids().next()}, .at = kNow}).error().code == ProblemCode::kNotFound);
  // A failure that comes in late changes nothing.
  apply(failed(key, 2));
  CHECK(delivery(key).state == DeliveryState::kDead);
}

TEST_CASE_FIXTURE(Erasures,
                  "many deliveries are discarded in steps, and between them none is taken for a whole one") {
  const auto to = endpoints(5);
  const NewEvent event = new_event(to);
  const EventSeq seq = accept_one(event);
  ErasePayload step{.id = event.event->id, .at = kNow, .after = 0, .limit = 2};
  auto erased = apply(step);
  CHECK(erased->discarded == 2);
  REQUIRE(erased->next);
  CHECK(reader->event(event.event->id, true)->event.payload.empty());
  const auto rest = reader->due(to[4], 10, 1000);
  REQUIRE(rest.deliveries.size() == 1);
  CHECK(rest.deliveries[0].event->erased);
  CHECK_FALSE(rest.deliveries[0].event->damaged);
  std::int64_t discarded = erased->discarded;
  while (erased->next) {
    step.after = *erased->next;
    erased = apply(step);
    discarded += erased->discarded;
  }
  CHECK(discarded == 5);
  CHECK(reader->status().pending == 0);
  CHECK(delivery({seq, to[4]}).state == DeliveryState::kDiscarded);
}

TEST_CASE_FIXTURE(Erasures, "a fan-out ends with the payload") {
  const auto to = endpoints(4);
  NewEvent event = new_event({to[0]});
  event.more_after = to[0];
  event.deliveries = 4;
  accept({event});
  apply(ErasePayload{.id = event.event->id, .at = kNow});
  CHECK(reader->unfinished_fan_outs(0, 10).empty());
  const auto late =
      apply(ExpandEvent{.event = event.event, .endpoints = {{.endpoint = to[1]}}, .more_after = {}});
  REQUIRE(late);
  CHECK(reader->status().pending == 0);
  CHECK(reader->event(event.event->id, false)->deliveries == 1);
}

TEST_CASE_FIXTURE(Erasures, "in order, the next one takes the place of what is discarded") {
  const auto to = endpoints(1);
  const NewEvent first = keyed(new_event(to), "k");
  const EventSeq head = accept_one(first), next = accept_one(keyed(new_event(to), "k"));
  CHECK(due(to[0]) == std::vector{head});
  apply(ErasePayload{.id = first.event->id, .at = kNow});
  CHECK(due(to[0]) == std::vector{next});
}

TEST_CASE_FIXTURE(Erasures, "a repeat erases once, and tells the delivery side again what not to send") {
  const auto to = endpoints(2);
  const NewEvent event = new_event(to);
  const EventSeq seq = accept_one(event);
  const ErasePayload erase{.id = event.event->id, .at = kNow};
  apply(erase);
  const auto again = apply(erase, true);
  REQUIRE(again);
  CHECK(keys_of(again.facts) == std::vector<DeliveryKey>{{seq, to[0]}, {seq, to[1]}});
  CHECK(reader->status().discarded == 2);
  CHECK(reader->status().pending == 0);
}

TEST_CASE_FIXTURE(Erasures, "an erased event is whole, and one that was damaged before is damaged still") {
  const auto to = endpoints(1);
  const NewEvent whole = new_event(to), damaged = new_event(to);
  accept({whole, damaged});
  REQUIRE(
      subject->produce("UPDATE event SET tenant = 'x' WHERE seq = " + std::to_string(damaged.event->seq)));
  ErasePayload some{
      .id = whole.event->id, .at = kNow, .after = 1'000'000, .limit = 1};  // leaves its delivery pending
  apply(some);
  some.id = damaged.event->id;
  apply(some);
  const auto window = reader->due(to[0], 10, 1000);
  REQUIRE(window.deliveries.size() == 2);
  CHECK_FALSE(window.deliveries[0].event->damaged);
  CHECK(window.deliveries[1].event->damaged);
}

TEST_CASE_FIXTURE(Fixture,
                  "a rejected row is shown, waits again when it is retried, and goes when it is dropped") {
  for (int i = 0; i < 2; ++i)
    REQUIRE(subject->produce("INSERT INTO outbox(type, payload) VALUES ('order.paid', '{\"id\": 42}')"));
  const auto rows = reader->outbox(10, 1000);
  CHECK_FALSE(reader->rejected_row(rows[0].row));
  CHECK(apply(ResolveOutboxRow{rows[0].row, true}).error().code == ProblemCode::kNotFound);
  for (const OutboxRow& row : rows) apply(RejectOutboxRow{row.row, kNow, "payload: is too large"});
  const auto shown = reader->rejected_row(rows[0].row);
  REQUIRE(shown);
  CHECK(shown->rejected == "payload: is too large");
  CHECK(shown->payload == "{\"id\": 42}");
  const auto retried = apply(ResolveOutboxRow{rows[0].row, false});
  REQUIRE(retried);
  REQUIRE(retried.facts.size() == 1);
  CHECK(std::holds_alternative<OutboxRowsWait>(retried.facts[0]));
  CHECK(reader->outbox(10, 1000).size() == 1);
  CHECK_FALSE(reader->rejected_row(rows[0].row));
  CHECK(apply(ResolveOutboxRow{rows[0].row, false}).error().code == ProblemCode::kNotFound);
  REQUIRE(apply(ResolveOutboxRow{rows[1].row, true}));
  CHECK_FALSE(reader->rejected_row(rows[1].row));
  CHECK(reader->status().outbox_rejected == 0);
  CHECK(apply(ResolveOutboxRow{rows[1].row, true}, true));
}
