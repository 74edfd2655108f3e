// How far a source is relayed is stored with the events that its rows became, or not at all.
#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

const SourcePlace kStart{};
const SourcePlace kTen{.database = "a1", .relayed = 10, .cleared = 0};
const SourcePlace kTwenty{.database = "a1", .relayed = 20, .cleared = 10};

AcceptEvents step(const SourcePlace& from, const SourcePlace& to, std::vector<NewEvent> events = {},
                  const std::string& source = "shop") {
  AcceptEvents command = accepting(std::move(events));
  command.source = std::make_shared<const SourceStep>(SourceStep{source, from, to});
  return command;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a source that was never relayed has no place") {
  CHECK(reader->source_place("shop") == kStart);
}

TEST_CASE_FIXTURE(Fixture, "the place of a source is stored with its events, also over a restart") {
  REQUIRE(apply(step(kStart, kTen, {new_event(), new_event()})));
  CHECK(reader->source_place("shop") == kTen);
  reopen();
  CHECK(reader->source_place("shop") == kTen);
  CHECK(reader->status().events == 2);
  REQUIRE(apply(step(kTen, kTwenty)));
  CHECK(reader->source_place("shop") == kTwenty);
  CHECK(reader->source_place("crm") == kStart);
}

TEST_CASE_FIXTURE(Fixture, "a step that does not start where the source is stores nothing") {
  REQUIRE(apply(step(kStart, kTen, {new_event()})));
  for (const SourcePlace& from :
       {kStart, kTwenty, SourcePlace{.database = "b2", .relayed = 10, .cleared = 0}}) {
    const auto refused = apply(step(from, kTwenty, {new_event()}));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ProblemCode::kConflict);
  }
  CHECK(reader->source_place("shop") == kTen);
  CHECK(reader->status().events == 1);
}

TEST_CASE_FIXTURE(Fixture, "the places of sources do not touch each other") {
  REQUIRE(apply(step(kStart, kTen, {}, "shop")));
  REQUIRE(apply(step(kStart, kTwenty, {}, "crm")));
  CHECK(reader->source_place("shop") == kTen);
  CHECK(reader->source_place("crm") == kTwenty);
}

TEST_CASE_FIXTURE(Fixture, "events that are refused or stale leave the place of their source as it was") {
  REQUIRE(accept({with_key(new_event(), "k", 'a')}));
  const auto conflict = apply(step(kStart, kTen, {new_event(), with_key(new_event(), "k", 'b')}));
  REQUIRE_FALSE(conflict);
  CHECK(conflict.error().code == ProblemCode::kIdempotencyConflict);
  CHECK(conflict.error().errors.at(0).pointer == "/1");
  CHECK(reader->source_place("shop") == kStart);

  const Endpoint gone = create();
  REQUIRE(apply(RemoveEndpoint{gone.id, kNow}));
  AcceptEvents before = step(kStart, kTen, {new_event({gone.seq})});
  before.matched = 0;
  const auto stale = apply(before);
  REQUIRE(stale);
  CHECK(stale->stale);
  CHECK(reader->source_place("shop") == kStart);
}

TEST_CASE_FIXTURE(Fixture,
                  "a step whose commit nobody knows of is taken once, whether it was committed or not") {
  const AcceptEvents first = step(kStart, kTen, {new_event(), with_key(new_event(), "k", 'a')});
  REQUIRE(apply(first));
  const auto again = apply(first, true);  // it was committed
  REQUIRE(again);
  CHECK(again->events.at(0).id == first.events[0].event->id);
  CHECK(reader->status().events == 2);
  CHECK(reader->source_place("shop") == kTen);

  const AcceptEvents second = step(kTen, kTwenty, {new_event()});
  REQUIRE(apply(second, true));  // it was not
  CHECK(reader->status().events == 3);
  CHECK(reader->source_place("shop") == kTwenty);

  CHECK(apply(step(kTwenty, kTwenty), true));
  const auto elsewhere = apply(step(kTen, {.database = "a1", .relayed = 30, .cleared = 10}), true);
  REQUIRE_FALSE(elsewhere);
  CHECK(elsewhere.error().code == ProblemCode::kConflict);
}
