// What is asked of the store: commands, as data. The one writer thread (group_commit.h) gathers what has arrived and
// has it carried out in one transaction.
//
// A command never changes: what comes of it is its Answer, beside it. One that cannot be carried out is refused with a
// Problem and has no effect. Every command is safe to apply again after a commit of which nobody knows whether it
// happened: the ids in it (event, attempt, endpoint) tell the store what it has already.
//
// Commands are small, so that moving them through queues costs nothing; what is large is behind a pointer. What the
// writer has to know of each kind before it carries it out is in command_traits.cpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/attempt.h"
#include "common/delivery.h"
#include "common/endpoint.h"
#include "common/event.h"
#include "common/problem.h"

namespace outboxd {

// Counts the changes of endpoints that the store has committed. Who matches events against the endpoints of a version
// says which it was.
using DirectoryVersion = std::uint64_t;

// Deliveries in order: of those pending with the same endpoint and sequence key (common/endpoint.h) only the head, the
// first accepted, may be attempted; the others are *blocked*, on disk alone, and StoreReader::due() does not see them.
// The transaction in which a head leaves `pending` promotes the next one.
struct FirstAttempt {
  EndpointSeq endpoint = 0;
  Millis due_in{0};                     // from the event's created_at on
  Ordering ordering = Ordering::kNone;  // of the endpoint
};
struct NewEvent {
  std::shared_ptr<Event> event;  // the store sets seq, once it is committed
  std::vector<FirstAttempt>
      endpoints;  // those that match, each once; or the first of them, with `more_after`
  // More endpoints match than one transaction should write: those after this one, up to the newest there is, follow by
  // ExpandEvent. The store remembers that until the last step. Those ordered by a key are all in `endpoints`.
  std::optional<EndpointSeq> more_after;
  std::int64_t deliveries = 0;  // with more_after: how many match in all
  std::optional<std::string> idempotency_key;
  std::string content_digest;  // SHA-256 of what makes two events the same; with an idempotency key
  std::optional<std::int64_t> outbox_row;  // from the SQL outbox: that row goes in the same transaction
};

// Commit events and a pending delivery for each of their endpoints. All or none. The same idempotency key with other
// content: refused with kIdempotencyConflict, pointer "/<index>".
struct AcceptedEvent {
  EventId id;
  Time created_at{};
  std::int64_t deliveries = 0;
  bool duplicate = false;    // the key was seen with the same content: id and the rest are the first one's
  bool row_deleted = false;  // its outbox row is gone: nothing was stored
};
struct Accepted {
  bool stale =
      false;  // one of the endpoints was removed since they were matched: nothing was stored, match again
  std::vector<AcceptedEvent> events;  // in the order of the command's
};
struct AcceptEvents {
  using Answer = Accepted;
  std::vector<NewEvent> events;
  Millis idempotency_window{};
  DirectoryVersion matched = 0;
};

// An event of outboxd's own (an operational event), committed like any other. No idempotency key.
struct AnnounceEvent {
  using Answer = Accepted;
  std::shared_ptr<const NewEvent> event;
  DirectoryVersion matched = 0;
};

// The next step of an event's fan-out: deliveries for these endpoints too. One that exists is left as it is.
struct Expanded {
  bool stale = false;  // as in Accepted
};
struct ExpandEvent {
  using Answer = Expanded;
  std::shared_ptr<const Event> event;
  std::vector<FirstAttempt> endpoints;
  std::optional<EndpointSeq> more_after;  // absent: that was the last step
  DirectoryVersion matched = 0;
};

// Keep a row of the SQL outbox that can never become an event, with the reason.
struct Nothing {};  // to tell but that it is done
struct RejectOutboxRow {
  using Answer = Nothing;
  std::int64_t row = 0;
  Time at{};
  std::string reason;
};

// One attempt was made (or none: an expired or skipped delivery), and what follows for the delivery. It does not move a
// delivery that has left `pending` by an operator's hand meanwhile, nor does an expiry end one that an operator has put
// back; the attempt is recorded in any case. The answer is where the delivery stands then.
struct Recorded {
  DeliveryState state = DeliveryState::kPending;
  std::optional<DeadReason> reason;
  std::optional<Time> due_at;  // with kPending
  bool moved = false;          // by this outcome, to the state that it says
};
// Whose an outcome is, for those who hear of it (facts.h): the store hands it on and does not look at it.
struct OutcomeSubject {
  DeliveryId delivery;
  EventId event;
  EndpointPtr endpoint;
  std::string type;  // of the event
  int attempts = 0;  // since creation or replay, this one included
};
struct RecordOutcome {
  using Answer = Recorded;
  DeliveryKey key;
  std::shared_ptr<const Attempt> attempt;  // always there, and a success, with kDelivered
  std::shared_ptr<const OutcomeSubject> subject;
  Millis due_in{0};  // with kPending: from `at` on
  Time at{};         // now
  DeliveryState state = DeliveryState::kPending;
  std::optional<DeadReason> reason;
  bool urgent = false;  // something waits for this commit: see GroupCommit
};

// Since when every attempt of an endpoint has failed (absent: not so any more). No effect on a removed endpoint.
struct SetFailingSince {
  using Answer = Nothing;
  EndpointSeq endpoint = 0;
  std::optional<Time> since;
  std::optional<Time> recovered_from;  // it had been failing since then, and is told of
};

// The answer is the endpoint as stored.
struct CreateEndpoint {
  using Answer = EndpointPtr;
  EndpointPtr endpoint;  // the store gives it its seq
};
// Replace every field of an endpoint but seq, id, created_at, its state and failing_since (which is over when the
// receiver is another one: same_receiver). A new `ordering` holds for events accepted and replayed from then on.
// Refused with kNotFound when there is none, and with kConflict when it has changed since `if_updated_at`: read it
// again and merge again.
struct UpdateEndpoint {
  using Answer = EndpointPtr;
  EndpointPtr endpoint;
  Time if_updated_at{};
};
// To kActive: failing_since is forgotten. Refused with kNotFound when there is none.
struct SetEndpointState {
  using Answer = EndpointPtr;
  EndpointId id;
  Time at{};
  EndpointState state = EndpointState::kActive;
  std::string disabled_reason;
};
// What its subscriber or its failures make of an endpoint: disabled. Kept until it is committed, unlike an operator's
// SetEndpointState. Refused with kNotFound when it was removed meanwhile, and with kConflict when it has changed since
// `if_updated_at`: what made it fail may be over.
struct DisableEndpoint {
  using Answer = EndpointPtr;
  EndpointId id;
  Time at{};
  Time if_updated_at{};
  std::string reason;
};
// Its pending deliveries become discarded, in steps: see DiscardRemoved. The id is not found any more from here on. The
// answer is the endpoint as it was.
struct RemoveEndpoint {
  using Answer = EndpointPtr;
  EndpointId id;
  Time at{};
};
// Discard up to `limit` pending deliveries of removed endpoints: a step; the store remembers what is left.
struct Discarded {
  std::int64_t deliveries = 0;
  bool more = false;  // there may be others
};
struct DiscardRemoved {
  using Answer = Discarded;
  std::int64_t limit = 1000;
  Time at{};
};

// An operator's hand on a delivery: to pending (retry or replay: attempts count from 0, due `at`), or to discarded.
// Refused with kNotFound or kConflict. The answer is the delivery as it is now.
struct ChangeDelivery {
  using Answer = Delivery;
  DeliveryKey key;
  DeliveryState state = DeliveryState::kPending;
  Time at{};
};

// Send an event (again) to these endpoints: a delivery is made, or put back to pending, for each. Refused with
// kNotFound.
struct Replayed {
  std::int64_t deliveries = 0;
};
struct ReplayEvent {
  using Answer = Replayed;
  EventId id;
  std::vector<EndpointSeq> endpoints;
  Time at{};
};

// Delete what is past its keeping, oldest events first, `limit` rows at most: a step of retention. An event goes with
// its last delivery. What a step reads is bounded too, however much of it is to be kept. Gives free pages back to the
// file system, some in each step.
struct Pruned {
  std::int64_t events = 0, deliveries = 0, attempts = 0;
  std::int64_t idempotency_keys = 0, outbox_rows = 0, endpoints = 0;  // rejected rows; removed endpoints
  std::optional<DeliveryKey> next;  // where the next step goes on; absent: nothing is left to delete for now
};
struct Prune {
  using Answer = Pruned;
  Time delivered_before{};  // deliveries that were delivered or discarded before, and events that had none
  Time dead_before{};       // dead letters, and rejected rows of the SQL outbox
  Time at{};                // now
  std::int64_t limit = 256;
  DeliveryKey after{};  // {}: from the beginning; else `next` of the step before
};

// What one store alone can do, as a command of its own making (sqlite/secret_encryption.h). Others refuse it. It says
// itself what came of it, once that is committed.
struct StoreTask {
  virtual ~StoreTask() = default;
  virtual std::int64_t rows() const = 0;  // how many it may write
};
struct RunStoreTask {
  using Answer = Nothing;
  std::shared_ptr<StoreTask> task;
};

using Command =
    std::variant<AcceptEvents, AnnounceEvent, ExpandEvent, RejectOutboxRow, RecordOutcome, SetFailingSince,
                 CreateEndpoint, UpdateEndpoint, SetEndpointState, DisableEndpoint, RemoveEndpoint,
                 DiscardRemoved, ChangeDelivery, ReplayEvent, Prune, RunStoreTask>;
static_assert(sizeof(Command) <= 96);

using AnyAnswer =
    std::variant<Nothing, Accepted, Expanded, Recorded, EndpointPtr, Discarded, Delivery, Replayed, Pruned>;

}  // namespace outboxd
