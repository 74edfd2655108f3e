// Facts: what a commit made true, as data. The store returns those of a batch with its answers, in the order of the
// commands; commits by others (SQL producers, other daemons) arrive as the same facts, as hints: without the event, and
// perhaps for nothing. Nothing else tells the delivery side, the directory, the fan-out or the sweeper anything.
// Who hears which: app/fact_router.h.
#pragma once

#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "common/endpoint.h"
#include "common/partition.h"
#include "store/reads.h"

namespace outboxd {

// A delivery was accepted a moment ago by this daemon and may be attempted: here it is, with its event.
struct DeliveryReady {
  DueDelivery delivery;
};
// Something of an endpoint becomes due on disk in so long.
struct DueOnDisk {
  EndpointSeq endpoint = 0;
  Millis due_in{0};
  bool by_operator = false;  // who wants it tried, whatever the endpoint's health says
};
// A delivery is not to be sent any more: an operator discarded it, or it is blocked by another one now.
struct DeliveryWithdrawn {
  DeliveryKey key;
};
// What came of a delivery is committed, and its place in memory is free.
struct OutcomeRecorded {
  DeliveryKey key;
  Recorded now = {};                  // where the delivery stands
  std::optional<Millis> due_in = {};  // it is pending, and due again in so long
  bool promoted = false;              // a delivery that it blocked may be attempted now
  Time at{};                          // when the outcome was decided
  // As the command had them; null in a hint, and `attempt` when there was none.
  std::shared_ptr<const Attempt> attempt = {};
  std::shared_ptr<const OutcomeSubject> subject = {};
};
struct EndpointChanged {
  EndpointSeq endpoint = 0;
  EndpointPtr now;  // null: it was removed, and its deliveries wait to be discarded
  DirectoryVersion version = 0;
  bool disabled = false;  // by this change, for what came of its attempts
};
// An endpoint answers again, of which every attempt had failed.
struct EndpointRecovered {
  EndpointSeq endpoint = 0;
  Time failing_since{};
};
// An event has deliveries yet to be made. Null: the store knows which.
struct FanOutWaits {
  std::shared_ptr<const UnfinishedFanOut> fan_out;
};
// The SQL outbox may hold new rows.
struct OutboxRowsWait {};
// The clock that due times are told by made a step forward: what was said of waits is too long.
struct DueTimesMoved {
  bool by_far = false;  // so far that somebody may have set it wrongly
};
// This daemon became the owner of these partitions, or is it no more.
struct PartitionsOwned {
  PartitionSet partitions;
};
struct PartitionsLost {
  PartitionSet partitions;
  bool abort = false;  // transfers under way: abort them, instead of letting them finish
};

using Fact = std::variant<DeliveryReady, DueOnDisk, DeliveryWithdrawn, OutcomeRecorded, EndpointChanged,
                          EndpointRecovered, FanOutWaits, OutboxRowsWait, DueTimesMoved, PartitionsOwned,
                          PartitionsLost>;
using Facts = std::vector<Fact>;

}  // namespace outboxd
