#include "store/command_traits.h"

#include <doctest/doctest.h>

#include "support/store_values.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

struct Task final : StoreTask {
  std::int64_t rows() const override { return 7; }
};

CommandTraits of(const Command& command) {
  return traits_of(command);
}

}  // namespace

TEST_CASE("what only the daemon's memory knows is kept; what somebody can repeat may be refused") {
  const AnnounceEvent announce = announcing(new_event());
  for (const Command& kept : std::vector<Command>{delivered({1, 1}, 1), SetFailingSince{}, DisableEndpoint{},
                                                  ExpandEvent{}, announce})
    CHECK_FALSE(of(kept).refusable);
  for (const Command& other : std::vector<Command>{
           AcceptEvents{}, RejectOutboxRow{}, CreateEndpoint{}, UpdateEndpoint{},
           RunStoreTask{std::make_shared<Task>()}, SetEndpointState{}, RemoveEndpoint{}, DiscardRemoved{},
           ChangeDelivery{}, ReplayEvent{}, Prune{}, PrunePayloads{}, CountTypes{}})
    CHECK(of(other).refusable);
}

TEST_CASE("new work is growth, and what was promised already is none") {
  const AnnounceEvent announce = announcing(new_event());
  for (const Command& grows : std::vector<Command>{AcceptEvents{}, announce, CreateEndpoint{}, ReplayEvent{}})
    CHECK(of(grows).grows);
  for (const Command& other :
       std::vector<Command>{delivered({1, 1}, 1), ExpandEvent{}, DisableEndpoint{}, RemoveEndpoint{},
                            DiscardRemoved{}, Prune{}, PrunePayloads{}, CountTypes{}})
    CHECK_FALSE(of(other).grows);
}

TEST_CASE("a command counts its payloads and its rows, and at least one row") {
  NewEvent wide = new_event({1, 2, 3});
  const CommandTraits accept = of(accepting({wide, new_event()}));
  CHECK(accept.rows == 4);
  CHECK(accept.bytes == 2 * wide.event->payload.size());
  CHECK(of(announcing(wide)).rows == 3);
  CHECK(of(announcing(wide)).bytes == wide.event->payload.size());
  CHECK(of(ExpandEvent{.event = {}, .endpoints = wide.endpoints, .more_after = {}}).rows == 3);
  CHECK(of(ExpandEvent{}).rows == 1);
  CHECK(of(ReplayEvent{{}, {1, 2}, kNow}).rows == 2);
  CHECK(of(DiscardRemoved{.limit = 40}).rows == 40);
  CHECK(of(Prune{.limit = 256}).rows == 256);
  CHECK(of(PrunePayloads{.limit = 256}).rows == 256);
  CHECK(of(CountTypes{.limit = 300}).rows == 300);
  CHECK(of(RunStoreTask{std::make_shared<Task>()}).rows == 7);
  Attempt attempt = new_attempt(1, Outcome::kSuccess);
  attempt.response_body = "four";
  const RecordOutcome outcome = with_attempt(delivered({1, 1}, 1), attempt);
  CHECK(of(outcome).bytes == 4);
  CHECK(of(outcome).rows == 1);
}

TEST_CASE(
    "only what the engine records may wait for others to share its commit, unless it says that it may not") {
  RecordOutcome outcome = delivered({1, 1}, 1);
  CHECK_FALSE(of(outcome).urgent);
  outcome.urgent = true;
  CHECK(of(outcome).urgent);
  CHECK_FALSE(of(SetFailingSince{}).urgent);
  CHECK(of(DisableEndpoint{}).urgent);
  CHECK(of(AcceptEvents{}).urgent);
}

TEST_CASE("only what makes new rows goes ahead of what was submitted before it") {
  const AnnounceEvent announce = announcing(new_event());
  for (const Command& ahead :
       std::vector<Command>{AcceptEvents{}, announce, ExpandEvent{}, RejectOutboxRow{}})
    CHECK(of(ahead).ahead);
  for (const Command& other : std::vector<Command>{
           delivered({1, 1}, 1), SetFailingSince{}, CreateEndpoint{}, UpdateEndpoint{}, SetEndpointState{},
           DisableEndpoint{}, RemoveEndpoint{}, DiscardRemoved{}, ChangeDelivery{}, ReplayEvent{},
           ErasePayload{}, PrunePayloads{}, CountTypes{}, ResolveOutboxRow{}, CreateBatch{}, CancelBatch{},
           Prune{}, RunStoreTask{std::make_shared<Task>()}})
    CHECK_FALSE(of(other).ahead);
}
