// The durable half of outboxd, as the rest of the daemon sees it. The interface speaks only of the domain: no SQL,
// connection or statement shows here, and the engine does not know which store it runs on.
//
//   commands.h   what is asked of it            facts.h   what its commits made true
//   reads.h      what is read from it           errors.h  how it fails
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/partition.h"
#include "store/commands.h"
#include "store/errors.h"
#include "store/facts.h"
#include "store/operator_batch.h"
#include "store/reads.h"
#include "store/rollup.h"

namespace outboxd {

// Identifies the daemon that records, as long as it has its store open. A store that has given this daemon's partitions
// to another one for good refuses the token (kFenced).
struct OwnerToken {
  std::string text;
  bool operator==(const OwnerToken&) const = default;
};

struct Batch {
  std::span<const Command* const> commands;
  OwnerToken owner;
  // The same commands were applied before and that ended in StoreError::kUnknown: they may be committed already.
  bool repeat = false;
};
struct Applied {
  std::vector<Result<AnyAnswer>> answers;  // one per command, in order; a Problem: the command was refused
  Facts facts;
};

class StoreWriter {  // used by one thread
 public:
  virtual ~StoreWriter() = default;
  // Applies all commands in order, in one transaction that is durable on return. Throws StoreError; if it
  // may_try_again(), apply the same batch again. A server that cannot be reached is kBusy, for as long as it takes.
  //
  // Whose partitions were taken away while the server was out of reach joins the others anew, by itself and under the
  // same token: the facts are PartitionsLost (abort) and later, once those are released, PartitionsOwned. Meanwhile
  // everything is applied that anybody may ask for. An outcome of a partition that is not this daemon's any more is
  // refused with kConflict, and whoever sent it hears OutcomeRecorded with nothing but the key, and lets go of it.
  virtual Applied apply(const Batch& batch) = 0;
  // Called between batches: checkpoints and the like, when due. Cheap when there is nothing to do. Throws StoreError
  // (kFailed).
  virtual void maintain() = 0;
  // The last call of a clean stop. Throws StoreError (kFailed).
  virtual void finish() {}
};

// Each call is one short read transaction that examines a bounded number of rows, and may throw StoreError.
class StoreReader {  // each by one thread at a time; there may be several
 public:
  virtual ~StoreReader() = default;

  // For delivery. At most `limit` rows and `max_bytes` of payload, except that the first row of each priority may be
  // larger. Those of the events `held` (ascending), which the caller has already, are passed over without being read.
  virtual DueWindow due(EndpointSeq endpoint, int limit, std::size_t max_bytes,
                        std::span<const EventSeq> held = {}) = 0;
  // At most `limit` pending deliveries that have expired at `now`, in order from `after` on, whatever holds them back;
  // blocked ones too. Their events carry no payload.
  virtual std::vector<DueDelivery> expired(Time now, const ExpiryPlace& after, int limit) = 0;

  // For status; a few seeks per endpoint that has something pending, whatever its backlog. For each of the next `limit`
  // such endpoints, removed ones too: how long its oldest delivery has been due, blocked ones included.
  virtual std::vector<OldestDue> oldest_due(EndpointSeq after, int limit) = 0;
  virtual EndpointCounts counts(EndpointSeq endpoint, int limit) = 0;
  // How many deliveries each of the next `limit` endpoints has that has ever had one, by endpoint; removed ones too as
  // long as retention keeps something of them. Reads a row each, and counts nothing.
  virtual std::vector<EndpointDeliveries> delivery_counts(EndpointSeq after, int limit) = 0;

  // endpoints
  virtual Endpoints all_endpoints() = 0;
  virtual std::optional<Endpoint> endpoint(const EndpointId& id) = 0;
  // Lists refuse a cursor of another list with kInvalidParameter.
  virtual Result<Rows<Endpoint>> endpoints(const std::optional<std::string>& tenant,
                                           const Page& page) = 0;  // oldest first
  virtual SecretKeys secret_keys() = 0;  // of all endpoints, and of removed ones that retention still keeps

  // events and deliveries; those of a list newest first
  virtual std::optional<EventRow> event(const EventId& id, bool with_payload) = 0;
  virtual Result<Rows<EventRow>> events(const EventFilter& filter, const Page& page) = 0;
  // By tenant and type. Exact: what has not been counted yet (CountTypes) is counted now, as far as that is bounded.
  virtual Result<Rows<EventTypeRow>> event_types(const EventTypeFilter& filter, const Page& page) = 0;
  virtual std::optional<DeliveryRow> delivery(DeliveryKey key) = 0;
  virtual Result<Rows<DeliveryRow>> deliveries(const DeliveryFilter& filter, const Page& page) = 0;
  virtual std::vector<Attempt> attempts(DeliveryKey key) = 0;  // first one first, at most 1,000

  // batches (operator_batch.h)
  virtual std::optional<OperatorBatch> batch(const BatchId& id) = 0;
  virtual Result<Rows<OperatorBatch>> batches(const Page& page) = 0;  // newest first
  virtual std::vector<OperatorBatch> running_batches() = 0;           // oldest first
  // The deliveries that the batch has still to act upon (retry, discard), in an order of its own.
  virtual Result<Rows<DeliveryRow>> batch_deliveries(const OperatorBatch& batch, const Page& page) = 0;
  // The events that match the batch's filter (replay), oldest first, from number `from` on.
  virtual BatchEvents batch_events(const OperatorBatch& batch, EventSeq from, int limit) = 0;

  virtual std::vector<UnfinishedFanOut> unfinished_fan_outs(EventSeq after, int limit) = 0;  // oldest first

  // The SQL outbox: rows that are not rejected, in order.
  virtual std::vector<OutboxRow> outbox(int limit, std::size_t max_bytes) = 0;
  virtual Result<Rows<OutboxRow>> rejected_outbox(const Page& page) = 0;
  virtual std::optional<OutboxRow> rejected_row(std::int64_t row) = 0;

  // Where the relay of a source has come to; {} if it has never begun.
  virtual SourcePlace source_place(const std::string& source) = 0;

  virtual StoreStatus status() = 0;

  // The roll-up (rollup.h). These two make several short read transactions of a bounded number of rows.
  virtual Failures failures(const FailureQuery& query) = 0;
  // What happened at an endpoint, or at all of them together, in each step from `since` until `until`. Steps are whole
  // minutes, or whole hours from where only hours are kept on; `since` is the start of one.
  virtual std::vector<RollupPoint> series(const std::optional<EndpointId>& endpoint, Time since, Time until,
                                          Millis step) = 0;

  // Where several daemons share the store: those that fail, for one daemon knows so only of its own. At most `limit`.
  virtual std::vector<FailingEndpoint> failing_endpoints(int /*limit*/) { return {}; }
};

// The partitions that belong to this daemon now (none yet, if others may have them), and the token it records with.
struct Ownership {
  OwnerToken token;
  PartitionSet partitions;
  int members = 1;  // daemons that share the store, as far as this one knows
};

class Store {
 public:
  virtual ~Store() = default;
  virtual StoreWriter& writer() = 0;
  // Never fails: a reader connects when it reads, and again when it must (kBusy until it can).
  virtual std::unique_ptr<StoreReader> new_reader() = 0;
  virtual Ownership ownership() const = 0;  // any thread
  // Any thread, asked before each request. False: for too long it is unproven that this daemon still owns anything, and
  // another one may be sending. Nothing is sent then; the facts that follow say whether partitions are lost.
  virtual bool may_send() const { return true; }
  // Blocks until others have probably changed something (a producer's INSERT INTO outbox, another daemon's commit),
  // `timeout` passes, or interrupt() is called from another thread. Returns what may be true now. Only one thread may
  // wait.
  virtual Facts wait_for_changes(Millis timeout) = 0;
  virtual void interrupt() = 0;
  // Tells the store that nothing is under way any more for partitions that this daemon was told to give up.
  virtual void release(const PartitionSet& partitions) = 0;
  // Any thread. What the store's server, or the way to it, has answered lately instead of serving; "": it serves.
  virtual std::string why_unreachable() const { return {}; }
};

}  // namespace outboxd
