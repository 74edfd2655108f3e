// Facts: what a commit made true, as data. The store returns those of a batch with its answers, in the order of the
// commands. Commits by others (SQL producers, other daemons) arrive as the same facts but as hints: without the event,
// and possibly when nothing has changed. Facts are the only way in which the delivery side, the directory, the fan-out
// and the sweeper learn of changes. Who hears which: app/fact_router.h.
#pragma once

#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "common/endpoint.h"
#include "common/partition.h"
#include "store/reads.h"

namespace outboxd {

// This daemon has just accepted a delivery that may be attempted; the fact carries it with its event.
struct DeliveryReady {
  DueDelivery delivery;
};
// Something at an endpoint is or becomes due on disk, `due_in` from now.
struct DueOnDisk {
  EndpointSeq endpoint = 0;
  Millis due_in{0};
  bool by_operator = false;  // an operator wants it tried, whatever the endpoint's health
};
// A delivery must not be sent any more: an operator discarded it, or another delivery now blocks it.
struct DeliveryWithdrawn {
  DeliveryKey key;
};
// The outcome of a delivery is committed, so its place in memory is free.
struct OutcomeRecorded {
  DeliveryKey key;
  Recorded now = {};                  // the state of the delivery
  std::optional<Millis> due_in = {};  // set if it is pending: how long until it is due again
  bool promoted = false;              // a delivery that it blocked was promoted and may be attempted now
  Time at{};                          // when the outcome was decided
  // As in the command. Both are null in a hint; `attempt` is null also when none was made.
  std::shared_ptr<const Attempt> attempt = {};
  std::shared_ptr<const OutcomeSubject> subject = {};
};
struct EndpointChanged {
  EndpointSeq endpoint = 0;
  EndpointPtr now;  // null: it was removed; its pending deliveries are still to be discarded
  DirectoryVersion version = 0;
  bool disabled = false;  // this change disabled it because of its attempts
};
// Every attempt at an endpoint has failed since then, and now so many in a row that it is tried with one request at a time.
struct EndpointFailing {
  EndpointSeq endpoint = 0;
  Time failing_since{};
  std::optional<Outcome> error;  // of the last one
};
// An endpoint whose attempts had all failed has answered successfully again.
struct EndpointRecovered {
  EndpointSeq endpoint = 0;
  Time failing_since{};
};
// A batch was made, or has ended. Null: another daemon's; the store knows which batches run.
struct BatchChanged {
  OperatorBatchPtr now;
};
// An event has deliveries still to be made. Null: the store knows which event.
struct FanOutWaits {
  std::shared_ptr<const UnfinishedFanOut> fan_out;
};
// The SQL outbox may hold new rows.
struct OutboxRowsWait {};
// The clock for due times stepped forward, so waits that were announced earlier are now too long.
struct DueTimesMoved {
  bool by_far = false;  // so far that someone may have set the clock wrongly
};
// This daemon became the owner of these partitions, or ceased to be.
struct PartitionsOwned {
  PartitionSet partitions;
  // Who owned them before was lost sight of, and what it had under way may still arrive until then: what must be in order
  // waits so long.
  Millis ordered_after{0};
};
struct PartitionsLost {
  PartitionSet partitions;
  bool abort = false;  // abort the transfers under way instead of letting them finish
};

using Fact = std::variant<DeliveryReady, DueOnDisk, DeliveryWithdrawn, OutcomeRecorded, EndpointChanged,
                          EndpointFailing, EndpointRecovered, BatchChanged, FanOutWaits, OutboxRowsWait,
                          DueTimesMoved, PartitionsOwned, PartitionsLost>;
using Facts = std::vector<Fact>;

}  // namespace outboxd
