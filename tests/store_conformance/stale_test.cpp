// Endpoints that were matched and then removed: nothing is stored for them, whatever the order in which that is heard of.
#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

struct Stale : Fixture {
  Endpoint gone = create(), stays = create();
  DirectoryVersion version() { return reader->all_endpoints().version; }
  static AcceptEvents matched_at(DirectoryVersion version, std::vector<NewEvent> events) {
    AcceptEvents command = accepting(std::move(events));
    command.matched = version;
    return command;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Stale,
                  "what was matched before an endpoint was removed and names it is stale, as a whole") {
  const DirectoryVersion before = version();
  apply(RemoveEndpoint{gone.id, kNow});
  const NewEvent with = new_event({gone.seq, stays.seq}), without = new_event({stays.seq});
  const auto stale = apply(matched_at(before, {without, with}));
  REQUIRE(stale);
  CHECK(stale->stale);
  CHECK(stale->events.empty());
  CHECK(stale.facts.empty());
  CHECK(with.event->seq == 0);
  CHECK(without.event->seq == 0);
  CHECK(reader->status().events == 0);
  const auto announced = apply(AnnounceEvent{std::make_shared<const NewEvent>(with), before});
  CHECK(announced->stale);
  CHECK(announced.facts.empty());
  CHECK(reader->status().events == 0);
}

TEST_CASE_FIXTURE(Stale, "what does not name the removed endpoint, or was matched since, is stored") {
  const DirectoryVersion before = version();
  apply(RemoveEndpoint{gone.id, kNow});
  CHECK_FALSE(apply(matched_at(before, {new_event({stays.seq})}))->stale);
  CHECK_FALSE(apply(matched_at(before, {new_event()}))->stale);
  CHECK_FALSE(apply(matched_at(version(), {new_event({stays.seq})}))->stale);
  CHECK(reader->status().events == 3);
}

TEST_CASE_FIXTURE(Stale, "an endpoint that was changed is no reason to match again") {
  const DirectoryVersion before = version();
  update(gone, gone.updated_at);
  create();
  CHECK_FALSE(apply(matched_at(before, {new_event({gone.seq})}))->stale);
}

TEST_CASE_FIXTURE(Stale, "a removal earlier in the same batch counts, a later one does not") {
  const DirectoryVersion before = version();
  const Applied applied =
      apply_all({matched_at(before, {new_event({gone.seq})}), RemoveEndpoint{gone.id, kNow},
                 matched_at(before, {new_event({gone.seq})}), matched_at(before, {new_event({stays.seq})})});
  CHECK_FALSE(answer_to<AcceptEvents>(applied, 0)->stale);
  CHECK(answer_to<AcceptEvents>(applied, 2)->stale);
  CHECK_FALSE(answer_to<AcceptEvents>(applied, 3)->stale);
  // Made and removed in one transaction.
  const Endpoint brief = new_endpoint();
  const Applied both = apply_all({CreateEndpoint{shared(brief)}, RemoveEndpoint{brief.id, kNow}});
  const EndpointSeq seq = (*answer_to<CreateEndpoint>(both, 0))->seq;
  CHECK(apply(matched_at(before, {new_event({seq})}))->stale);
}

TEST_CASE_FIXTURE(Stale, "a row of the SQL outbox stays while what was made of it is stale") {
  const DirectoryVersion before = version();
  apply(RemoveEndpoint{gone.id, kNow});
  REQUIRE(subject->produce("INSERT INTO outbox(type, payload) VALUES ('order.paid', '{}')"));
  NewEvent event = new_event({gone.seq});
  event.outbox_row = reader->outbox(1, 1000).at(0).row;
  CHECK(apply(matched_at(before, {event}))->stale);
  CHECK(reader->outbox(1, 1000).size() == 1);
  event.endpoints.clear();
  CHECK_FALSE(apply(matched_at(version(), {event}))->stale);
  CHECK(reader->outbox(1, 1000).empty());
}
