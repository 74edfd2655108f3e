// What the store is asked to do: commands, as data. The one writer thread (group_commit.h) gathers those that have
// arrived and has them carried out in one transaction.
//
// A command is not modified; its result is a separate Answer. A command that cannot be carried out is refused with a
// Problem and has no effect. Every command is safe to apply again after a commit whose result is unknown: the ids in it
// (event, attempt, endpoint) tell the store what it already has.
//
// Commands are small, so that they are cheap to move through queues; anything large is behind a pointer. What the
// writer must know of each kind before it carries it out is in command_traits.cpp.
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

struct OperatorBatch;  // operator_batch.h
struct BatchStep;
using OperatorBatchPtr = std::shared_ptr<const OperatorBatch>;

// Counts the committed changes of endpoints. A command whose endpoints were matched in memory says which version they
// were matched at.
using DirectoryVersion = std::uint64_t;

// Deliveries in order: of the pending deliveries with the same endpoint and sequence key (common/endpoint.h), only the
// head, the one accepted first, may be attempted. The others are *blocked*: they stay on disk, and StoreReader::due()
// does not return them. The transaction in which the head leaves `pending` promotes the next one.
struct FirstAttempt {
  EndpointSeq endpoint = 0;
  Millis due_in{0};                     // counted from the event's created_at
  Ordering ordering = Ordering::kNone;  // of the endpoint
};
struct NewEvent {
  std::shared_ptr<Event> event;         // the store sets seq when it is committed
  std::vector<FirstAttempt> endpoints;  // those that match, each once; with `more_after`, the first of them
  // Set when more endpoints match than one transaction should write: deliveries to the endpoints after this one, up to
  // the newest existing one, follow by ExpandEvent. The store remembers this until the last step. Endpoints at which
  // the event is ordered are all in `endpoints`.
  std::optional<EndpointSeq> more_after;
  std::int64_t deliveries = 0;  // with more_after: how many endpoints match in total
  std::optional<std::string> idempotency_key;
  // With an idempotency key: SHA-256 of everything that makes two events the same.
  std::string content_digest;
  // The row of the SQL outbox that the event came from; it is deleted in the same transaction.
  std::optional<std::int64_t> outbox_row;
};

// Commit events and a pending delivery for each of their endpoints, all or none. Reusing an idempotency key with
// different content is refused with kIdempotencyConflict, pointer "/<index>".
struct AcceptedEvent {
  EventId id;
  Time created_at{};
  std::int64_t deliveries = 0;
  bool duplicate = false;    // the key was used with the same content: all else is the first event's
  bool row_deleted = false;  // its outbox row no longer exists: nothing was stored
};
struct Accepted {
  // Since they were matched, one of the endpoints was removed, or another daemon has changed some: nothing was stored, match
  // again. What another daemon has changed was told before this answer.
  bool stale = false;
  std::vector<AcceptedEvent> events;  // in the order of the command's events
};
// How far the outbox of an application's own database has been relayed (ingest/relay.h). Rows up to `relayed` have
// become events or are marked there as rejected; up to `cleared` they have been deleted there, so that a row which is
// there all the same has come back and is new.
struct SourcePlace {
  std::string database;  // tells one file from another, whatever their names
  std::int64_t relayed = 0, cleared = 0;
  bool operator==(const SourcePlace&) const = default;
};
struct SourceStep {
  std::string source;  // its name
  SourcePlace from, to;
};
struct AcceptEvents {
  using Answer = Accepted;
  std::vector<NewEvent> events;
  Millis idempotency_window{};
  DirectoryVersion matched = 0;
  // Set if the events (possibly none) come from a source: its place is stored in the same transaction. Refused with
  // kConflict if the stored one is not `from`.
  std::shared_ptr<const SourceStep> source = {};
};

// One of outboxd's own events (an operational event), committed like any other, without an idempotency key.
struct AnnounceEvent {
  using Answer = Accepted;
  std::shared_ptr<const NewEvent> event;
  DirectoryVersion matched = 0;
};

// The next step of an event's fan-out: deliveries to these endpoints as well. An existing delivery is left as it is.
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

// Mark a row of the SQL outbox that can never become an event as rejected, and keep it with the reason.
struct Nothing {};  // the answer holds nothing; it only says that the command is done
struct RejectOutboxRow {
  using Answer = Nothing;
  std::int64_t row = 0;
  Time at{};
  std::string reason;
};

// Record an attempt (or none, for an expired or skipped delivery) and its consequence for the delivery. A delivery that
// an operator has meanwhile moved out of `pending` is not moved, and an expiry does not end one that an operator has
// put back to pending; the attempt is recorded in any case. The answer is the state of the delivery afterwards.
struct Recorded {
  DeliveryState state = DeliveryState::kPending;
  std::optional<DeadReason> reason;
  std::optional<Time> due_at;  // with kPending
  bool moved = false;          // this outcome moved the delivery, to the state that it asked for
};
// What an outcome is about, for those who hear of it (facts.h): the store passes it on without looking at it.
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
  std::shared_ptr<const Attempt> attempt;  // set, and a success, with kDelivered
  std::shared_ptr<const OutcomeSubject> subject;
  Millis due_in{0};  // with kPending: counted from `at`
  Time at{};         // now
  DeliveryState state = DeliveryState::kPending;
  std::optional<DeadReason> reason;
  bool urgent = false;  // something waits for this commit, see GroupCommit
};

// Record since when every attempt at an endpoint has failed: reported as EndpointFailing (absent: that is over). No effect on
// a removed endpoint.
struct SetFailingSince {
  using Answer = Nothing;
  EndpointSeq endpoint = 0;
  std::optional<Time> since;
  std::optional<Time> recovered_from = {};  // had been failing since this time: reported as EndpointRecovered
  std::optional<Outcome> error = {};        // of the last of the attempts that failed
};

// The answer is the endpoint as stored.
struct CreateEndpoint {
  using Answer = EndpointPtr;
  EndpointPtr endpoint;  // the store assigns its seq
};
// Replace every field of an endpoint except seq, id, created_at, its state and failing_since (which is cleared if the
// receiver changes: same_receiver). A new `ordering` applies to events accepted or replayed from then on. Refused with
// kNotFound if there is no such endpoint, and with kConflict if it has changed since `if_updated_at`: read it and merge
// again.
struct UpdateEndpoint {
  using Answer = EndpointPtr;
  EndpointPtr endpoint;
  Time if_updated_at{};
};
// Change the state. Activating clears failing_since. Refused with kNotFound if there is no such endpoint.
struct SetEndpointState {
  using Answer = EndpointPtr;
  EndpointId id;
  Time at{};
  EndpointState state = EndpointState::kActive;
  std::string disabled_reason;
};
// Disable an endpoint because of what its subscriber answered or its attempts' failures. Unlike an operator's
// SetEndpointState, it is kept until it is committed. Refused with kNotFound if the endpoint was removed meanwhile, and
// with kConflict if it has changed since `if_updated_at`, because the cause of the failures may be gone.
struct DisableEndpoint {
  using Answer = EndpointPtr;
  EndpointId id;
  Time at{};
  Time if_updated_at{};
  std::string reason;
};
// Remove an endpoint: from here on its id is not found, and its pending deliveries are discarded in steps
// (DiscardRemoved). The answer is the endpoint as it was.
struct RemoveEndpoint {
  using Answer = EndpointPtr;
  EndpointId id;
  Time at{};
};
// Discard up to `limit` pending deliveries of removed endpoints, as one step; the store remembers what is left.
struct Discarded {
  std::int64_t deliveries = 0;
  bool more = false;  // there may be more to discard
};
struct DiscardRemoved {
  using Answer = Discarded;
  std::int64_t limit = 1000;
  Time at{};
};

// An operator's change of a delivery: to pending (retry or replay: its attempts count from 0 again and it is due `at`)
// or to discarded. Refused with kNotFound or kConflict. The answer is the changed delivery.
struct ChangeDelivery {
  using Answer = Delivery;
  DeliveryKey key;
  DeliveryState state = DeliveryState::kPending;
  Time at{};
};

// Send an event (again) to these endpoints: for each a delivery is created or put back to pending. Refused with
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

// Make a batch (operator_batch.h): from here on it is durable, and carried out in steps. Refused with kConflict when
// kMaxRunningBatches run already. The answer is the batch as stored.
struct CreateBatch {
  using Answer = OperatorBatchPtr;
  OperatorBatchPtr batch;
};
// Act on the keys of a step, and store the batch's new place with that. No effect if the batch does not run any more or
// its place is not the one that the step starts from. The answer is the batch afterwards. Refused with kNotFound.
struct StepBatch {
  using Answer = OperatorBatchPtr;
  BatchId id;
  std::shared_ptr<const BatchStep> step;
};
// End a batch between two steps. Refused with kNotFound, and with kConflict when it has ended already.
struct CancelBatch {
  using Answer = OperatorBatchPtr;
  BatchId id;
  Time at{};
};
// Erase the payload of an event; everything else about it stays. What is pending of it is discarded, and a retry or replay
// of it is refused from then on. One step: the first one takes the payload, each one looks at up to `limit` deliveries,
// those to the endpoints after `after`. Refused with kNotFound.
struct Erased {
  Time at{};  // when it was erased, by this command or before
  std::int64_t discarded = 0;
  std::optional<EndpointSeq> next;  // where the next step continues; absent: that was the last one
};
struct ErasePayload {
  using Answer = Erased;
  EventId id;
  Time at{};
  EndpointSeq after = 0;
  std::int64_t limit = 1000;
};

// Erase the payloads of events accepted before `before` of which nothing is pending: what ErasePayload does, as a step of
// retention. One step looks at up to `limit` events, those after number `after`.
struct PayloadsPruned {
  std::int64_t events = 0;
  std::optional<EventSeq> next;  // where the next step continues; absent: nothing more for now
};
struct PrunePayloads {
  using Answer = PayloadsPruned;
  Time before{};
  Time at{};  // now
  EventSeq after = 0;
  std::int64_t limit = 256;
};

// Add the events accepted since the last time to the counts by type (StoreReader::event_types), up to `limit` of them.
// So nothing is counted twice or left out, and accepting an event costs nothing for it.
struct TypesCounted {
  bool more = false;
};
struct CountTypes {
  using Answer = TypesCounted;
  std::int64_t limit = 2000;
};

// An operator's word on a rejected row of the SQL outbox: it is judged once more, or dropped. Refused with kNotFound.
struct ResolveOutboxRow {
  using Answer = Nothing;
  std::int64_t row = 0;
  bool drop = false;
};

// Delete what retention no longer keeps, oldest events first, about `limit` rows: one step of retention. An event goes
// with its last delivery. How much a step reads is bounded too, even if most of it is to be kept. Each step also
// returns some free pages to the file system.
struct Pruned {
  std::int64_t events = 0, deliveries = 0, attempts = 0;
  std::int64_t idempotency_keys = 0, outbox_rows = 0, endpoints = 0;  // rejected rows; removed endpoints
  std::int64_t batches = 0;                                           // that have ended
  std::optional<DeliveryKey> next;  // where the next step continues; absent: nothing more to delete for now
};
struct Prune {
  using Answer = Pruned;
  Time delivered_before{};  // delivered and discarded deliveries, and events without any
  Time dead_before{};       // dead letters, rejected rows of the SQL outbox, and batches that have ended
  Time at{};                // now
  std::int64_t limit = 256;
  DeliveryKey after{};  // {}: start from the beginning; otherwise `next` of the previous step
};

// A task that not every kind of store knows (secret_encryption.h). Who does not know it refuses it. The task object
// itself holds the result, once it is committed.
struct StoreTask {
  virtual ~StoreTask() = default;
  virtual std::int64_t rows() const = 0;  // how many rows it may write
};
struct RunStoreTask {
  using Answer = Nothing;
  std::shared_ptr<StoreTask> task;
};

using Command =
    std::variant<AcceptEvents, AnnounceEvent, ExpandEvent, RejectOutboxRow, RecordOutcome, SetFailingSince,
                 CreateEndpoint, UpdateEndpoint, SetEndpointState, DisableEndpoint, RemoveEndpoint,
                 DiscardRemoved, ChangeDelivery, ReplayEvent, ErasePayload, PrunePayloads, CountTypes,
                 ResolveOutboxRow, CreateBatch, StepBatch, CancelBatch, Prune, RunStoreTask>;
static_assert(sizeof(Command) <= 96);

using AnyAnswer = std::variant<Nothing, Accepted, Expanded, Recorded, EndpointPtr, Discarded, Delivery,
                               Replayed, Erased, PayloadsPruned, TypesCounted, OperatorBatchPtr, Pruned>;

}  // namespace outboxd
