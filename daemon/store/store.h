// The durable half of outboxd, as the rest of the daemon sees it. Domain verbs only: no SQL, connection or
// statement shows here, and the engine does not know which store it runs on.
//
//   writes   Commands, as data. The one writer thread (group_commit.h) gathers what has arrived and calls
//            StoreWriter::apply: one transaction for all of them, durable when it returns.
//   reads    StoreReader: each call is one short read transaction with a bound on the rows it looks at.
//
// Errors: a command that is refused says so in its own result and has no effect. A failure of the store
// itself is thrown: StoreBusy and StoreFull leave the transaction undone and may be tried again; StoreFailure
// is final (fail stop: nothing may be acknowledged after it, the process exits and recovers at its next
// start).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/attempt.h"
#include "common/delivery.h"
#include "common/endpoint.h"
#include "common/event.h"
#include "common/problem.h"

namespace outboxd {

inline constexpr int kExitStoreFailure = 70;  // EX_SOFTWARE: fail stop after an I/O error
inline constexpr int kExitStoreCorrupt = 65;  // EX_DATAERR: corrupt or not ours
struct StoreFailure : std::runtime_error {
  explicit StoreFailure(const std::string& what, int status = kExitStoreFailure)
      : std::runtime_error(what), exit_status(status) {}
  int exit_status;  // what outboxd ends with when it is met while starting
};
struct StoreBusy : std::runtime_error {  // another process holds the write lock
  using std::runtime_error::runtime_error;
};
struct StoreFull : std::runtime_error {  // no space left for the transaction
  using std::runtime_error::runtime_error;
};
// The database cannot be served at all; thrown by opening. `exit_status` is what outboxd ends with (its --help
// lists them).
struct StoreUnusable : std::runtime_error {
  StoreUnusable(int status, const std::string& what) : std::runtime_error(what), exit_status(status) {}
  int exit_status;
};
inline constexpr int kExitStoreLocked = 75;  // EX_TEMPFAIL: another outboxd owns the database
inline constexpr int kExitStoreSchema = 76;  // a newer schema than this binary knows
inline constexpr int kExitStoreKey = 78;     // EX_CONFIG: secrets are encrypted with a key that was not given
inline constexpr int kExitStoreCannotOpen = 74;  // EX_IOERR: missing folder, permissions, network filesystem

// ---- commands ------------------------------------------------------------------------------------

// Commit events and a pending delivery for each of their endpoints. All or none.
//
// Deliveries in order: of those pending with the same endpoint and order key (common/endpoint.h) only the
// head, the first accepted, may be attempted; the others are *behind* it, on disk alone, and
// StoreReader::due() does not see them. The transaction in which a head leaves `pending` makes the next one
// the head.
struct FirstAttempt {
  EndpointSeq endpoint = 0;
  Time due_at{};
  Ordering ordering = Ordering::kNone;  // of the endpoint
  bool behind = false;                  // result: not to be attempted before others
};
struct NewEvent {
  std::shared_ptr<Event> event;         // the store sets seq
  std::vector<FirstAttempt> endpoints;  // those that match, each once; or the first of them, with `more`
  // More endpoints match than one transaction should write: those after this one, up to the newest there is,
  // follow by ExpandEvent. The store remembers that (see unfinished_fan_outs) until the last step. Those
  // ordered by a key are all in `endpoints`.
  std::optional<EndpointSeq> more_after;
  std::int64_t deliveries = 0;  // with more_after: how many match in all
  EndpointSeq more_until = 0;   // result, with more_after: the newest endpoint there is
  std::optional<std::string> idempotency_key;
  std::string content_digest;  // SHA-256 of what makes two events the same; with an idempotency key
  std::optional<std::int64_t> outbox_row;  // from the SQL outbox: that row goes in the same transaction
};
struct AcceptedEvent {
  EventId id;
  Time created_at{};
  std::int64_t deliveries = 0;
  bool duplicate = false;  // the key was seen with the same content: id and the rest are the first one's
  bool withdrawn = false;  // its outbox row is gone: nothing was stored
};
struct AcceptEvents {
  std::vector<NewEvent> events;
  Millis idempotency_window{};
  // Results, in the order of `events`. Same key, other content: refused with kIdempotencyConflict, pointer
  // "/<index>".
  std::vector<AcceptedEvent> accepted = {};
};

// An event of outboxd's own (an operational event), committed like any other. No idempotency key.
struct AnnounceEvent {
  NewEvent event;
};

// The next step of an event's fan-out: deliveries for these endpoints too. One that exists is left as it is.
struct ExpandEvent {
  std::shared_ptr<const Event> event;
  std::vector<FirstAttempt> endpoints;
  std::optional<EndpointSeq> more_after;  // absent: that was the last step
  std::vector<FirstAttempt> made = {};    // result: those of `endpoints` that had no delivery yet
};

// Keep a row of the SQL outbox that can never become an event, with the reason.
struct RejectOutboxRow {
  std::int64_t row = 0;
  std::string reason;
  Time at{};
};

// One attempt was made (or none: an expired or skipped delivery), and where the delivery stands now. Has no
// effect on a delivery that has meanwhile left `pending` by an operator's hand, but for recording the
// attempt.
struct NewHead {
  DeliveryKey key;
  Time due_at{};
};
struct RecordOutcome {
  DeliveryKey key;
  std::optional<Attempt> attempt;  // always there, and a success, with kDelivered
  DeliveryState state = DeliveryState::kPending;
  std::optional<DeadReason> reason;
  Time due_at{};                              // with kPending
  Time at{};                                  // now
  bool urgent = false;                        // something waits for this commit: see GroupCommit
  std::optional<NewHead> next_in_order = {};  // result: what waited behind this delivery
  // Result, with kExpired: an operator has put the delivery back meanwhile, so that it expires no more. It stays
  // pending, due at `due_at` if there was an attempt, else as it was.
  bool overruled = false;
};

// Since when every attempt of an endpoint has failed (absent: not so any more). No effect on a removed
// endpoint.
struct SetFailingSince {
  EndpointSeq endpoint = 0;
  std::optional<Time> since;
};

struct CreateEndpoint {
  Endpoint endpoint;  // result: seq
};
// Replace every field of an endpoint but seq, id, created_at, its state and failing_since (which is over when the receiver
// is another one: same_receiver). A new `ordering`
// holds for events accepted and replayed from then on. Refused with kNotFound when there is none, and with
// kConflict when it has changed since `if_updated_at`: read it again and merge again.
struct UpdateEndpoint {
  Endpoint endpoint;  // result: as stored, state included
  Time if_updated_at{};
};
// Encrypt the secrets of the next `limit` endpoints, removed ones too, with the key that encrypts now. Refused with
// kConflict when there is none.
struct EncryptSecrets {
  EndpointSeq after = 0;
  std::int64_t limit = 100;
  std::int64_t changed = 0;              // result: endpoints that were not encrypted, or with another key
  std::optional<EndpointSeq> next = {};  // result: the last one looked at; absent: there are no more
};
// To kActive: failing_since is forgotten. Refused with kNotFound when there is none.
struct SetEndpointState {
  EndpointId id;
  EndpointState state = EndpointState::kActive;
  std::string disabled_reason;
  Time at{};
  Endpoint endpoint = {};  // result
};
// What its subscriber or its failures make of an endpoint: disabled. Kept until it is committed, unlike an operator's
// SetEndpointState. Refused with kNotFound when it was removed meanwhile, and with kConflict when it has changed since
// `if_updated_at`: what made it fail may be over.
struct DisableEndpoint {
  EndpointId id;
  std::string reason;
  Time at{};
  std::optional<Time> if_updated_at = {};
  Endpoint endpoint = {};  // result
};
// Its pending deliveries become discarded, in steps: see DiscardRemoved.
struct RemoveEndpoint {
  EndpointId id;
  Time at{};
  EndpointSeq seq = 0;  // result. The id is not found any more from here on
};
// Discard up to `limit` pending deliveries of removed endpoints: a step; the store remembers what is left.
struct DiscardRemoved {
  std::int64_t limit = 1000;
  Time at{};
  std::int64_t discarded = 0;  // result: how many were
  bool more = false;           // result: there may be others
};

// An operator's hand on a delivery: to pending (retry or replay: attempts count from 0, due `at`), or to
// discarded. Refused with kNotFound or kConflict. Result: the delivery as it is now.
struct ChangeDelivery {
  DeliveryKey key;
  DeliveryState state = DeliveryState::kPending;
  Time at{};
  Delivery delivery = {};
  std::optional<NewHead> next_in_order = {};  // result, discarded: what waited behind it
  std::optional<DeliveryKey> set_back = {};  // result, pending: this one was the head and waits behind it now
};

// Send an event (again) to these endpoints: a delivery is made, or put back to pending, for each. Refused
// with kNotFound.
struct ReplayEvent {
  EventId id;
  std::vector<EndpointSeq> endpoints;
  Time at{};
  std::int64_t deliveries = 0;             // result
  std::vector<DeliveryKey> set_back = {};  // result: heads that wait behind the replayed deliveries now
};

// Delete what is past its keeping, oldest events first, `limit` rows at most: a step of retention. An event goes
// with its last delivery. What a step reads is bounded too, however much of it is to be kept. Gives free pages back
// to the file system, some in each step.
struct Pruned {
  std::int64_t events = 0, deliveries = 0, attempts = 0;
  std::int64_t idempotency_keys = 0, outbox_rows = 0, endpoints = 0;  // rejected rows; removed endpoints
};
struct Prune {
  Time delivered_before{};  // deliveries that were delivered or discarded before, and events that had none
  Time dead_before{};       // dead letters, and rejected rows of the SQL outbox
  Time at{};                // now
  std::int64_t limit = 256;
  // From this event on, and of it behind this endpoint. {}: from the beginning; else `next` of the step before.
  DeliveryKey after{};
  Pruned pruned = {};                    // result
  std::optional<DeliveryKey> next = {};  // result; absent: nothing is left to delete for now
};

// What the writer has to know of each kind before it carries it out is in command_traits.cpp.
using Command =
    std::variant<AcceptEvents, AnnounceEvent, ExpandEvent, RejectOutboxRow, RecordOutcome, SetFailingSince,
                 CreateEndpoint, UpdateEndpoint, EncryptSecrets, SetEndpointState, DisableEndpoint,
                 RemoveEndpoint, DiscardRemoved, ChangeDelivery, ReplayEvent, Prune>;

struct Write {
  Command command;
  std::optional<Problem> refused;  // set by the store: the command had no effect
};

class StoreWriter {  // used by one thread
 public:
  virtual ~StoreWriter() = default;
  // All commands in one transaction, in order; durable on return. Throws StoreBusy, StoreFull, StoreFailure; then
  // no command was carried out, none is refused, and each is as it was given: the next try is the same again.
  virtual void apply(std::span<Write*> batch) = 0;
  // Between batches: checkpoints and the like, when due. Cheap when there is nothing to do. Throws
  // StoreFailure.
  virtual void tidy() = 0;
  // The last call of a clean stop. Throws StoreFailure.
  virtual void finish() {}
};

// ---- reads ---------------------------------------------------------------------------------------

// A delivery ready to be sent, with its event.
struct DueDelivery {
  DeliveryKey key;
  int attempts = 0;       // since creation or replay
  int attempts_ever = 0;  // number of the last attempt
  Time due_at{};
  Time created_at{};
  std::optional<std::string> order_key;
  std::optional<Time> expires_at =
      {};  // the event's; absent too when an operator's retry or replay overrode it
  std::shared_ptr<const Event> event;
};

// A place among the deliveries that expire, which are ordered by time, then key.
struct ExpiryPlace {
  Time expires_at{};
  DeliveryKey key;
};

// Since when, or from when on, something is due at an endpoint.
struct OldestDue {
  EndpointSeq endpoint = 0;
  Time due_at{};
};

// What an endpoint's lane has waiting on disk.
struct DueWindow {
  // Due at `now`: higher priority first, then earlier due, then earlier accepted. When there are more than
  // asked for, every priority that has something due is there with at least a sixteenth of the rows: the low
  // ones must not starve.
  std::vector<DueDelivery> deliveries;
  std::optional<Time> next_due;  // when to look again: `now` if more are due than were returned, else the
                                 // earliest later one; absent: nothing pending beyond these
};

struct Page {
  int limit = 50;
  std::string after;  // cursor, as an earlier page gave it
};
template <class Row>
struct Rows {
  std::vector<Row> rows;
  std::optional<std::string> next;  // absent: that was the last page. A page may be short and still have a
                                    // next one: each looks at a bounded number of rows.
};

struct EventFilter {
  std::optional<std::string> tenant, type;
  std::optional<Time> since, until;  // created_at, [since, until)
};
struct DeliveryFilter {
  std::optional<DeliveryState> state;
  std::optional<EndpointId> endpoint;
  std::optional<EventId> event;
  std::optional<std::string> tenant, type;
  std::optional<std::string> error;  // an outcome class, or "any"
  std::optional<Time> since, until;  // created_at of the event
};
struct DeliveryRow {
  Delivery delivery;
  EventId event;
  EndpointId endpoint;
  std::string event_type, tenant;
};
struct EventRow {
  Event event;  // payload empty
  std::int64_t deliveries = 0;
  std::int64_t payload_bytes = 0;
};
// A row of the SQL outbox, unjudged.
struct OutboxRow {
  std::int64_t row = 0;
  std::string type, payload;
  bool payload_is_text = true;
  std::optional<std::string> tenant, content_type, ordering_key, idempotency_key, headers, deliver_at,
      expires_at, traceparent;
  std::optional<std::int64_t> priority;
  std::optional<std::string> rejected;  // the reason, in lists of rejected rows
  std::optional<Time> rejected_at;
};
// An event whose deliveries are not all made yet.
struct UnfinishedFanOut {
  std::shared_ptr<const Event> event;
  EndpointSeq after = 0, last = 0;  // endpoints in (after, last] that match are still to be served
};
// How many secrets are encrypted with the key of each id ("" for those in plain).
using SecretKeys = std::map<std::string, std::int64_t>;
struct StoreStatus {
  std::int64_t pending = 0, delivered = 0, dead = 0, discarded = 0;  // deliveries by state
  std::int64_t events = 0;
  std::int64_t outbox_rejected = 0;
  std::int64_t database_bytes = 0, wal_bytes = 0;
  std::int64_t free_bytes = 0;  // of the database: what was deleted and not given back
  int schema_version = 0;
};

class StoreReader {  // each used by one thread at a time; any number of them
 public:
  virtual ~StoreReader() = default;

  // delivery loop. `limit` rows and `max_bytes` of payload at most (but the first row of each priority,
  // however large).
  virtual DueWindow due(EndpointSeq endpoint, Time now, int limit, std::size_t max_bytes) = 0;
  // Pending deliveries whose time is over at `now`, whatever holds them, those behind others too: `limit` at most,
  // after that place. Their events have no payload.
  virtual std::vector<DueDelivery> expired(Time now, const ExpiryPlace& after, int limit) = 0;

  // status. A few seeks for each endpoint that has something pending, whatever its backlog.
  // The earliest due time of each of the next `limit` such endpoints, those behind others counted, removed
  // endpoints too.
  virtual std::vector<OldestDue> oldest_due(EndpointSeq after, int limit) = 0;
  // How many deliveries of an endpoint are pending, counted up to `limit`.
  virtual std::int64_t backlog(EndpointSeq endpoint, int limit) = 0;

  // endpoints
  virtual std::vector<Endpoint> all_endpoints() = 0;  // not the removed ones
  virtual std::optional<Endpoint> endpoint(const EndpointId& id) = 0;
  // Lists: a cursor that is none of this list's is refused with kInvalidParameter.
  virtual Result<Rows<Endpoint>> endpoints(const std::optional<std::string>& tenant,
                                           const Page& page) = 0;  // oldest first
  virtual SecretKeys secret_keys() = 0;  // of all endpoints, also removed ones that retention has not deleted

  // events and deliveries, newest first
  virtual std::optional<EventRow> event(const EventId& id, bool with_payload) = 0;
  virtual Result<Rows<EventRow>> events(const EventFilter& filter, const Page& page) = 0;
  virtual std::optional<DeliveryRow> delivery(DeliveryKey key) = 0;
  virtual Result<Rows<DeliveryRow>> deliveries(const DeliveryFilter& filter, const Page& page) = 0;
  virtual std::vector<Attempt> attempts(DeliveryKey key) = 0;  // first one first, at most 1,000

  virtual std::vector<UnfinishedFanOut> unfinished_fan_outs(EventSeq after, int limit) = 0;  // oldest first

  // the SQL outbox
  virtual std::vector<OutboxRow> outbox(int limit,
                                        std::size_t max_bytes) = 0;  // not the rejected ones, in order
  virtual Result<Rows<OutboxRow>> rejected_outbox(const Page& page) = 0;

  virtual StoreStatus status() = 0;
};

class Store {
 public:
  virtual ~Store() = default;
  virtual StoreWriter& writer() = 0;
  virtual std::unique_ptr<StoreReader> new_reader() = 0;
  // Blocks until another process has probably committed (a producer's INSERT INTO outbox), `timeout` passes,
  // or interrupt() is called from another thread. May return early for nothing. One thread waits.
  virtual void wait_for_foreign_commit(Millis timeout) = 0;
  virtual void interrupt() = 0;
  // The clock was set back so many times; after a change due times on disk are earlier than they were read.
  // It jumped forward so many times.
  struct ClockSteps {
    Millis set_back{0};
    int jumps = 0;
  };
  virtual ClockSteps clock_steps() = 0;
};

}  // namespace outboxd
