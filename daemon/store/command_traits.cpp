#include "store/command_traits.h"

#include <algorithm>
#include <tuple>

#include "store/operator_batch.h"

namespace outboxd {
namespace {

enum WhenBusy { kRefused, kKept };
enum WhenFull { kTaken, kGrows };
enum Place { kAhead, kInTurn };

template <class C>
struct Row {
  WhenBusy when_busy;
  WhenFull when_full;
  Place place;
  bool (*urgent)(const C&);
  std::size_t (*bytes)(const C&);
  std::size_t (*rows)(const C&);
};

template <class C>
bool at_once(const C&) {
  return true;
}
template <class C>
bool at_leisure(const C&) {
  return false;
}
bool if_it_says(const RecordOutcome& c) {
  return c.urgent;
}

template <class C>
std::size_t no_payload(const C&) {
  return 0;
}
std::size_t bytes_of(const Event& event) {
  return event.payload.size() + (event.cloud_event ? event.cloud_event->size() : 0);
}
std::size_t payload_of(const AnnounceEvent& c) {
  return bytes_of(*c.event->event);
}
std::size_t payloads(const AcceptEvents& c) {
  std::size_t bytes = 0;
  for (const NewEvent& event : c.events) bytes += bytes_of(*event.event);
  return bytes;
}
std::size_t response(const RecordOutcome& c) {
  return c.attempt ? c.attempt->response_body.size() : 0;
}

template <class C>
std::size_t one(const C&) {
  return 1;
}
template <class C>
std::size_t an_endpoint_each(const C& c) {
  return c.endpoints.size();
}
std::size_t deliveries(const NewEvent& event) {
  return std::max<std::size_t>(event.endpoints.size(), 1);
}
std::size_t deliveries_of_one(const AnnounceEvent& c) {
  return deliveries(*c.event);
}
std::size_t deliveries_of_all(const AcceptEvents& c) {
  std::size_t rows = 0;
  for (const NewEvent& event : c.events) rows += deliveries(event);
  return rows;
}
std::size_t keys_of(const StepBatch& c) {
  return c.step->keys.size();
}
std::size_t as_it_says(const RunStoreTask& c) {
  return static_cast<std::size_t>(std::max<std::int64_t>(c.task->rows(), 1));
}
template <class C>
std::size_t up_to_limit(const C& c) {
  return static_cast<std::size_t>(std::max<std::int64_t>(c.limit, 1));
}

// kKept is for what the daemon asks of itself and only its memory knows. Its sweeps (DiscardRemoved, Prune,
// PrunePayloads, CountTypes, outbox rows, steps of batches) may be refused, because their work stays recorded in the store and their sender tries again. ExpandEvent counts
// as kTaken because its deliveries were promised when the event was accepted.
//
// kAhead is for what makes new rows alone: events, their deliveries (a further step of a fan-out leaves those that
// exist as they are), and the rejection of a row that nobody has judged yet. Whether an endpoint is removed just before
// or just after it is then known to nobody but the order of the commits. Everything else changes rows that others change
// too, and keeps its turn.
constexpr std::tuple kTable{
    Row<AcceptEvents>{kRefused, kGrows, kAhead, at_once, payloads, deliveries_of_all},
    Row<AnnounceEvent>{kKept, kGrows, kAhead, at_once, payload_of, deliveries_of_one},
    Row<ExpandEvent>{kKept, kTaken, kAhead, at_once, no_payload, an_endpoint_each},
    Row<RejectOutboxRow>{kRefused, kTaken, kAhead, at_once, no_payload, one},
    Row<RecordOutcome>{kKept, kTaken, kInTurn, if_it_says, response, one},
    Row<SetFailingSince>{kKept, kTaken, kInTurn, at_leisure, no_payload, one},
    Row<CreateEndpoint>{kRefused, kGrows, kInTurn, at_once, no_payload, one},
    Row<UpdateEndpoint>{kRefused, kTaken, kInTurn, at_once, no_payload, one},
    Row<SetEndpointState>{kRefused, kTaken, kInTurn, at_once, no_payload, one},
    Row<DisableEndpoint>{kKept, kTaken, kInTurn, at_once, no_payload, one},
    Row<RemoveEndpoint>{kRefused, kTaken, kInTurn, at_once, no_payload, one},
    Row<DiscardRemoved>{kRefused, kTaken, kInTurn, at_once, no_payload, up_to_limit},
    Row<ChangeDelivery>{kRefused, kTaken, kInTurn, at_once, no_payload, one},
    Row<ReplayEvent>{kRefused, kGrows, kInTurn, at_once, no_payload, an_endpoint_each},
    Row<CreateBatch>{kRefused, kGrows, kInTurn, at_once, no_payload, one},
    Row<StepBatch>{kRefused, kGrows, kInTurn, at_once, no_payload, keys_of},
    Row<CancelBatch>{kRefused, kTaken, kInTurn, at_once, no_payload, one},
    Row<ErasePayload>{kRefused, kTaken, kInTurn, at_once, no_payload, up_to_limit},
    Row<PrunePayloads>{kRefused, kTaken, kInTurn, at_once, no_payload, up_to_limit},
    Row<CountTypes>{kRefused, kTaken, kInTurn, at_once, no_payload, up_to_limit},
    Row<ResolveOutboxRow>{kRefused, kTaken, kInTurn, at_once, no_payload, one},
    Row<Prune>{kRefused, kTaken, kInTurn, at_once, no_payload, up_to_limit},
    Row<RunStoreTask>{kRefused, kTaken, kInTurn, at_once, no_payload, as_it_says},
};

}  // namespace

CommandTraits traits_of(const Command& command) {
  return std::visit(
      []<class C>(const C& c) {
        const auto& row = std::get<Row<C>>(kTable);
        return CommandTraits{.refusable = row.when_busy == kRefused,
                             .grows = row.when_full == kGrows,
                             .urgent = row.urgent(c),
                             .ahead = row.place == kAhead,
                             .bytes = row.bytes(c),
                             .rows = std::max<std::size_t>(row.rows(c), 1)};
      },
      command);
}

}  // namespace outboxd
