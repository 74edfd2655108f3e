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
  return {{event}, kDay};
}

struct Batch : Fixture {
  std::vector<Write> apply_all(std::vector<Command> commands) {
    std::vector<Write> writes;
    writes.reserve(commands.size());
    for (auto& command : commands) writes.push_back({std::move(command), std::nullopt});
    std::vector<Write*> batch;
    batch.reserve(writes.size());
    for (auto& write : writes) batch.push_back(&write);
    store().writer().apply(batch);
    return writes;
  }
};

}  // namespace

TEST_CASE_FIXTURE(
    Batch, "any number of commands that break a rule of the schema are refused, the others committed") {
  const EndpointSeq endpoint = create().seq;
  const auto writes = apply_all({illegal(), AcceptEvents{{new_event({endpoint})}, kDay}, illegal(), illegal(),
                                 AcceptEvents{{new_event({endpoint})}, kDay}});
  for (const std::size_t bad : {0u, 2u, 3u}) {
    REQUIRE(writes[bad].refused);
    CHECK(writes[bad].refused->code == ProblemCode::kInternal);
  }
  CHECK_FALSE(writes[1].refused);
  CHECK_FALSE(writes[4].refused);
  CHECK(reader->status().events == 2);
  CHECK(due(endpoint) == std::vector<EventSeq>{1, 2});
}

TEST_CASE_FIXTURE(Batch, "what was refused because of a command that was undone is judged without it") {
  const Endpoint endpoint = create();
  AcceptEvents first = illegal();
  NewEvent with = with_key(new_event(), "k", 'a');
  first.events.insert(first.events.begin(), with);
  const auto writes = apply_all({first, AcceptEvents{{with_key(new_event(), "k", 'b')}, kDay}});
  CHECK(writes[0].refused->code == ProblemCode::kInternal);
  CHECK_FALSE(writes[1].refused);
  CHECK_FALSE(std::get<AcceptEvents>(writes[1].command).accepted.at(0).duplicate);
}

TEST_CASE_FIXTURE(Batch,
                  "an undone transaction changes no command: the next try begins with the very same ones") {
  const Endpoint gone = create(), stays = create();
  NewEvent event = new_event({gone.seq, stays.seq});
  event.more_after = stays.seq;
  event.deliveries = 2;
  accept_one(event);
  const Endpoint third = create();
  ExpandEvent expand{
      .event = event.event, .endpoints = {{gone.seq, kNow}, {third.seq, kNow}}, .more_after = {}};
  NewEvent newer = new_event({gone.seq, stays.seq});
  const auto writes = apply_all({RemoveEndpoint{gone.id, kNow}, expand, AcceptEvents{{newer}, kDay},
                                 DisableEndpoint{stays.id, "gone", kNow}, illegal()});
  for (std::size_t i = 0; i < 4; ++i) CHECK_FALSE(writes[i].refused);
  CHECK(std::get<RemoveEndpoint>(writes[0].command).seq == gone.seq);
  const auto& expanded = std::get<ExpandEvent>(writes[1].command);
  CHECK(expanded.endpoints.size() == 2);  // as it was given
  REQUIRE(expanded.made.size() == 1);
  CHECK(expanded.made[0].endpoint == third.seq);
  const auto& accepted = std::get<AcceptEvents>(writes[2].command);
  CHECK(accepted.accepted.at(0).deliveries == 1);
  CHECK(accepted.events[0].endpoints.size() == 1);
  CHECK(std::get<DisableEndpoint>(writes[3].command).endpoint.state == EndpointState::kDisabled);
  CHECK(due(stays.seq).size() == 2);
  CHECK(due(third.seq).size() == 1);
}

TEST_CASE_FIXTURE(Batch, "an endpoint that was removed matches no more, however long ago that was") {
  const Endpoint gone = create();
  REQUIRE_FALSE(apply(RemoveEndpoint{gone.id, kNow}).refused);
  CHECK(accept({new_event({gone.seq})}).command.accepted[0].deliveries == 0);
  reopen();
  CHECK(accept({new_event({gone.seq})}).command.accepted[0].deliveries == 0);
  CHECK(reader->status().pending == 0);
  // Made and removed in one transaction.
  Endpoint brief = new_endpoint();
  auto writes = apply_all({CreateEndpoint{brief}, RemoveEndpoint{brief.id, kNow}});
  const EndpointSeq seq = std::get<CreateEndpoint>(writes[0].command).endpoint.seq;
  CHECK(accept({new_event({seq})}).command.accepted[0].deliveries == 0);
}

TEST_CASE_FIXTURE(Batch, "an event of outboxd's own is an event like any other") {
  const EndpointSeq endpoint = create().seq;
  const auto answer = apply(AnnounceEvent{new_event({endpoint})});
  REQUIRE_FALSE(answer.refused);
  const EventSeq seq = answer.command.event.event->seq;
  CHECK(due(endpoint) == std::vector<EventSeq>{seq});
  CHECK(answer.command.event.endpoints.size() == 1);
}

TEST_CASE_FIXTURE(Batch, "an endpoint is disabled by the daemon with its reason, if it is there") {
  const Endpoint made = create();
  const auto answer = apply(DisableEndpoint{made.id, "gone", kNow + Millis(5)});
  REQUIRE_FALSE(answer.refused);
  CHECK(answer.command.endpoint.state == EndpointState::kDisabled);
  CHECK(reader->endpoint(made.id)->disabled_reason == "gone");
  CHECK(apply(DisableEndpoint{EndpointId{ids().next()}, "gone", kNow}).refused->code ==
        ProblemCode::kNotFound);
}

TEST_CASE_FIXTURE(
    Batch, "discarding what removed endpoints left says when there may be more, however many they are") {
  for (int i = 0; i < 10; ++i) REQUIRE_FALSE(apply(RemoveEndpoint{create().id, kNow}).refused);
  CHECK(apply(DiscardRemoved{.limit = 4, .at = kNow}).command.more);
  CHECK(apply(DiscardRemoved{.limit = 4, .at = kNow}).command.more);
  const auto last = apply(DiscardRemoved{.limit = 4, .at = kNow}).command;
  CHECK(last.discarded == 0);
  CHECK_FALSE(last.more);
}
