// Commands that share a transaction: what one of them does wrong is its own affair, and a transaction that is undone
// leaves no trace in any of them.
#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

// No store can take it: an event has a type.
AcceptEvents illegal() {
  NewEvent event = new_event();
  event.event->type = "";
  return accepting({event});
}

}  // namespace

TEST_CASE_FIXTURE(
    Fixture, "any number of commands that break a rule of the schema are refused, the others committed") {
  const EndpointSeq endpoint = create().seq;
  const Applied applied = apply_all({illegal(), accepting({new_event({endpoint})}), illegal(), illegal(),
                                     accepting({new_event({endpoint})})});
  for (const std::size_t bad : {0u, 2u, 3u}) {
    REQUIRE_FALSE(applied.answers[bad]);
    CHECK(applied.answers[bad].error().code == ProblemCode::kInternal);
  }
  CHECK(applied.answers[1]);
  CHECK(applied.answers[4]);
  CHECK(reader->status().events == 2);
  CHECK(due(endpoint) == std::vector<EventSeq>{1, 2});
}

TEST_CASE_FIXTURE(Fixture, "what was refused because of a command that was undone is judged without it") {
  const Endpoint endpoint = create();
  AcceptEvents first = illegal();
  NewEvent with = with_key(new_event(), "k", 'a');
  first.events.insert(first.events.begin(), with);
  const Applied applied = apply_all({first, accepting({with_key(new_event(), "k", 'b')})});
  CHECK(applied.answers[0].error().code == ProblemCode::kInternal);
  CHECK(applied.answers[1]);
  CHECK_FALSE(answer_to<AcceptEvents>(applied, 1)->events.at(0).duplicate);
}

TEST_CASE_FIXTURE(Fixture,
                  "what was undone leaves no trace: the next try begins with the very same commands") {
  const Endpoint gone = create(), stays = create();
  NewEvent event = new_event({gone.seq, stays.seq});
  event.more_after = stays.seq;
  event.deliveries = 2;
  accept_one(event);
  const Endpoint third = create();
  const DirectoryVersion now = reader->all_endpoints().version;
  const ExpandEvent expand{
      .event = event.event, .endpoints = {{.endpoint = third.seq}}, .more_after = {}, .matched = now};
  AcceptEvents accept = accepting({new_event({stays.seq})});
  accept.matched = now;
  const Applied applied = apply_all({RemoveEndpoint{gone.id, kNow}, expand, accept,
                                     DisableEndpoint{stays.id, kNow, stays.updated_at, "gone"}, illegal()});
  for (std::size_t i = 0; i < 4; ++i) CHECK(applied.answers[i]);
  CHECK_FALSE(applied.answers[4]);
  CHECK((*answer_to<RemoveEndpoint>(applied, 0))->seq == gone.seq);
  CHECK_FALSE(answer_to<ExpandEvent>(applied, 1)->stale);
  CHECK(answer_to<AcceptEvents>(applied, 2)->events.at(0).deliveries == 1);
  CHECK((*answer_to<DisableEndpoint>(applied, 3))->state == EndpointState::kDisabled);
  CHECK(accept.events[0].event->seq == event.event->seq + 1);
  // Once each, in the order of the commands, with the versions of one removal and one change.
  CHECK(applied.facts.size() == 4);
  const auto changes = only<EndpointChanged>(applied.facts);
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].version == now + 1);
  CHECK(changes[1].version == now + 2);
  CHECK(reader->all_endpoints().version == now + 2);
  CHECK(due(stays.seq).size() == 2);
  CHECK(due(third.seq).size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "an event of outboxd's own is an event like any other") {
  const EndpointSeq endpoint = create().seq;
  const NewEvent event = new_event({endpoint});
  const auto answer = apply(announcing(event));
  REQUIRE(answer);
  CHECK(answer->events.at(0).id == event.event->id);
  CHECK(answer->events.at(0).deliveries == 1);
  CHECK(due(endpoint) == std::vector<EventSeq>{event.event->seq});
}

TEST_CASE_FIXTURE(Fixture, "an endpoint is disabled by the daemon with its reason, if it is there") {
  const Endpoint made = create();
  const auto answer = apply(DisableEndpoint{made.id, kNow + Millis(5), made.updated_at, "gone"});
  REQUIRE(answer);
  CHECK((*answer)->state == EndpointState::kDisabled);
  CHECK(reader->endpoint(made.id)->disabled_reason == "gone");
  CHECK(apply(DisableEndpoint{EndpointId{ids().next()}, kNow, kNow, "gone"}).error().code ==
        ProblemCode::kNotFound);
}

TEST_CASE_FIXTURE(
    Fixture, "discarding what removed endpoints left says when there may be more, however many they are") {
  for (int i = 0; i < 10; ++i) REQUIRE(apply(RemoveEndpoint{create().id, kNow}));
  CHECK(apply(DiscardRemoved{.limit = 4, .at = kNow})->more);
  CHECK(apply(DiscardRemoved{.limit = 4, .at = kNow})->more);
  const Discarded last = *apply(DiscardRemoved{.limit = 4, .at = kNow});
  CHECK(last.deliveries == 0);
  CHECK_FALSE(last.more);
}

TEST_CASE_FIXTURE(Fixture,
                  "any number of events, and of attempts, that share a transaction are stored as they are") {
  const EndpointSeq endpoint = create().seq;
  EventSeq last = 0;
  for (const int count : {1, 3, 4, 5, 15, 16, 17, 41}) {
    CAPTURE(count);
    std::vector<Command> accepts, outcomes;
    std::vector<EventId> events;
    accepts.reserve(static_cast<std::size_t>(count));
    outcomes.reserve(static_cast<std::size_t>(count));
    events.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      NewEvent made = new_event({endpoint}, "order." + std::to_string(i));
      made.event->payload = std::to_string(count * 100 + i);
      if (i % 2 == 1) made.event->headers = {{"x-number", std::to_string(i)}};
      events.push_back(made.event->id);
      accepts.emplace_back(accepting({std::move(made)}));
      Attempt attempt = new_attempt(1, Outcome::kSuccess);
      attempt.response_headers = {{"x-answer", std::to_string(i)}};
      outcomes.emplace_back(with_attempt(delivered({last + 1 + i, endpoint}, 1), std::move(attempt)));
    }
    apply_all(accepts);
    apply_all(outcomes);
    for (int i = 0; i < count; ++i) {
      const auto stored = reader->event(events[static_cast<std::size_t>(i)], true);
      REQUIRE(stored);
      CHECK(stored->event.seq == last + 1 + i);
      CHECK(stored->event.type == "order." + std::to_string(i));
      CHECK(stored->event.payload == std::to_string(count * 100 + i));
      CHECK(stored->event.headers.size() == static_cast<std::size_t>(i % 2));
      const auto attempts = reader->attempts({stored->event.seq, endpoint});
      REQUIRE(attempts.size() == 1);
      CHECK(attempts[0].response_headers[0].value == std::to_string(i));
    }
    last += count;
  }
  CHECK(reader->status().delivered == last);
}

TEST_CASE_FIXTURE(Fixture, "two attempts of one number that share a transaction are both kept") {
  const EndpointSeq endpoint = create().seq;
  const EventSeq event = accept_one(new_event({endpoint}));
  const Applied applied = apply_all({failed({event, endpoint}, 1), failed({event, endpoint}, 1)});
  CHECK(applied.answers[0]);
  CHECK(applied.answers[1]);
  CHECK(reader->attempts({event, endpoint}).size() == 2);
}

TEST_CASE_FIXTURE(Fixture, "a command finds what one before it in the transaction has accepted") {
  const EndpointSeq endpoint = create().seq;
  const NewEvent first = with_key(new_event({endpoint}), "k", 'a');
  const NewEvent replayed = new_event();
  const Applied applied =
      apply_all({accepting({first}), accepting({with_key(new_event({endpoint}), "k", 'a')}),
                 accepting({replayed}), ReplayEvent{replayed.event->id, {endpoint}, kNow}});
  CHECK(answer_to<AcceptEvents>(applied, 1)->events.at(0).duplicate);
  CHECK(answer_to<ReplayEvent>(applied, 3)->deliveries == 1);
  CHECK(reader->status().events == 2);
  CHECK(reader->status().pending == 2);
}
