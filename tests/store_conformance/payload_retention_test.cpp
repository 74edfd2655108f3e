// [retention] payload: the bytes of what has ended go after a while, everything else stays.
#include "store/operator_batch.h"
#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

const Time kLater = kNow + kDay * 10;

struct PayloadRetention : Fixture {
  EndpointSeq endpoint = create().seq;
  EndpointSeq other = create().seq;
  int steps = 0;  // of the last prune

  // Everything accepted before then. Answers how many events lost their payload.
  std::int64_t prune(Time before = kLater - kDay, std::int64_t limit = 256) {
    std::int64_t events = 0;
    PrunePayloads step{.before = before, .at = kLater, .after = 0, .limit = limit};
    for (steps = 1; steps < 1000; ++steps) {
      const auto pruned = apply(step);
      REQUIRE(pruned);
      events += pruned->events;
      if (!pruned->next) return events;
      step.after = *pruned->next;
    }
    FAIL("a round without an end");
    return events;
  }
  EventRow row(const NewEvent& event) {
    const auto found = reader->event(event.event->id, true);
    REQUIRE(found);
    return *found;
  }
  bool has_payload(const NewEvent& event) {
    const EventRow found = row(event);
    CHECK(found.payload_erased_at.has_value() == found.event.payload.empty());
    return !found.event.payload.empty();
  }
  NewEvent accepted(NewEvent event, Time at = kNow) {
    ManualClock clock(at);
    UuidGenerator generator(clock);
    event.event->id = EventId{generator.next()};
    event.event->created_at = at;
    accept_one(event);
    return event;
  }
};

}  // namespace

TEST_CASE_FIXTURE(PayloadRetention, "the payload of what has ended goes, and the rest stays") {
  const NewEvent event = accepted(new_event({endpoint, other}));
  const EventSeq seq = event.event->seq;
  apply(delivered({seq, endpoint}, 1));
  apply(died({seq, other}, 1));
  const NewEvent nobodys = accepted(new_event());
  const NewEvent recent = accepted(new_event(), kLater - kDay);
  CHECK(prune() == 2);
  CHECK(row(event).payload_erased_at == kLater);
  CHECK(row(event).payload_bytes == 0);
  CHECK(row(event).deliveries == 2);
  CHECK_FALSE(has_payload(nobodys));
  CHECK(has_payload(recent));
  CHECK(delivery({seq, endpoint}).state == DeliveryState::kDelivered);
  CHECK(delivery({seq, other}).state == DeliveryState::kDead);
  CHECK(reader->attempts({seq, endpoint}).size() == 1);
  CHECK(prune() == 0);
  reopen();
  CHECK(row(event).payload_erased_at == kLater);
}

TEST_CASE_FIXTURE(PayloadRetention, "what lost its payload is neither retried nor replayed") {
  const NewEvent event = accepted(new_event({endpoint}));
  const DeliveryKey key{event.event->seq, endpoint};
  apply(died(key, 1));
  REQUIRE(prune() == 1);
  CHECK(apply(ChangeDelivery{key, DeliveryState::kPending, kNow}).error().code == ProblemCode::kConflict);
  CHECK(apply(ReplayEvent{event.event->id, {endpoint}, kNow}).error().code == ProblemCode::kConflict);
  CHECK(apply(ErasePayload{.id = event.event->id, .at = kNow})->at == kLater);
}

TEST_CASE_FIXTURE(PayloadRetention,
                  "what is pending keeps its payload until it has ended, however often it is looked at") {
  const NewEvent before = accepted(new_event());
  const NewEvent waiting = accepted(new_event({endpoint, other}));
  apply(delivered({waiting.event->seq, endpoint}, 1));
  const NewEvent behind = accepted(new_event({endpoint}));
  apply(delivered({behind.event->seq, endpoint}, 1));
  CHECK(prune() == 2);
  CHECK_FALSE(has_payload(before));
  CHECK(has_payload(waiting));
  CHECK_FALSE(has_payload(behind));
  CHECK(prune() == 0);
  apply(delivered({waiting.event->seq, other}, 1));
  CHECK(prune() == 1);
  CHECK_FALSE(has_payload(waiting));
}

TEST_CASE_FIXTURE(PayloadRetention, "an event whose fan-out is not finished keeps its payload") {
  NewEvent event = new_event();
  event.more_after = 0;
  const NewEvent wide = accepted(std::move(event));
  CHECK(prune() == 0);
  CHECK(has_payload(wide));
}

TEST_CASE_FIXTURE(PayloadRetention,
                  "steps are bounded, go on where they ended, and a round begins behind what is gone") {
  for (int i = 0; i < 10; ++i) accepted(new_event());
  CHECK(prune(kLater - kDay, 3) == 10);
  CHECK(steps == 4);
  CHECK(prune(kLater - kDay, 3) == 0);
  CHECK(steps == 1);
  reopen();
  CHECK(prune(kLater - kDay, 3) == 0);
  CHECK(steps == 1);
  const NewEvent one_more = accepted(new_event());
  CHECK(prune(kLater - kDay, 3) == 1);
  CHECK_FALSE(has_payload(one_more));
}

TEST_CASE_FIXTURE(PayloadRetention, "a step overwrites a bounded number of bytes") {
  for (int i = 0; i < 12; ++i) {
    NewEvent event = new_event();
    event.event->payload.assign(1 << 20, 'x');
    accepted(std::move(event));
  }
  CHECK(prune() == 12);
  CHECK(steps >= 3);
}

TEST_CASE_FIXTURE(PayloadRetention, "an event accepted while the clock was far ahead holds up nobody") {
  const NewEvent future = accepted(new_event(), kNow + kDay * 400);
  const NewEvent old = accepted(new_event());
  CHECK(prune() == 1);
  CHECK(has_payload(future));
  CHECK_FALSE(has_payload(old));
}

TEST_CASE_FIXTURE(PayloadRetention, "an event without its payload is whole, and a repeat changes nothing") {
  const NewEvent event = accepted(new_event({endpoint}));
  apply(delivered({event.event->seq, endpoint}, 1));
  const PrunePayloads step{.before = kLater, .at = kLater};
  REQUIRE(apply(step)->events == 1);
  CHECK(apply(step, true)->events == 0);
  CHECK(row(event).payload_erased_at == kLater);
  CHECK_FALSE(row(event).event.damaged);
}

TEST_CASE_FIXTURE(PayloadRetention, "a batch leaves out what has lost its payload") {
  const NewEvent gone = accepted(new_event({endpoint}));
  apply(died({gone.event->seq, endpoint}, 1));
  REQUIRE(prune() == 1);
  const NewEvent kept = accepted(new_event({endpoint}), kLater);
  apply(died({kept.event->seq, endpoint}, 1));
  OperatorBatch batch;
  batch.id = BatchId{ids().next()};
  batch.action = BatchAction::kRetry;
  batch.filter.state = DeliveryState::kDead;
  batch.rate = {.count = 100, .per = std::chrono::seconds(1)};
  batch.reason = "it works again";
  batch.who = "uid 0";
  batch.created_at = kLater;
  const auto made = apply(CreateBatch{std::make_shared<const OperatorBatch>(batch)});
  REQUIRE(made);
  auto step = std::make_shared<BatchStep>();
  step->keys = {{gone.event->seq, endpoint}, {kept.event->seq, endpoint}};
  step->last = true;
  step->at = kLater;
  REQUIRE(apply(StepBatch{batch.id, step}));
  CHECK(delivery({gone.event->seq, endpoint}).state == DeliveryState::kDead);
  CHECK(delivery({kept.event->seq, endpoint}).state == DeliveryState::kPending);
}
