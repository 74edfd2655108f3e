// The durable half of outboxd, as the rest of the daemon sees it. Domain verbs only: no SQL, connection or statement
// shows here, and the engine does not know which store it runs on.
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
#include "store/reads.h"

namespace outboxd {

// Says who records. A store that has handed this daemon's partitions to another one refuses the token (kFenced).
struct OwnerToken {
  std::string text;
  bool operator==(const OwnerToken&) const = default;
};

struct Batch {
  std::span<const Command* const> commands;
  OwnerToken owner;
  // The same commands were applied before and ended in StoreError::kUnknown: some may be committed already.
  bool repeat = false;
};
struct Applied {
  std::vector<Result<AnyAnswer>> answers;  // one for each command, in their order; a Problem: it was refused
  Facts facts;
};

class StoreWriter {  // used by one thread
 public:
  virtual ~StoreWriter() = default;
  // All commands in one transaction, in order; durable on return. Throws StoreError: if it may_try_again(), what is to
  // be tried is the same batch.
  virtual Applied apply(const Batch& batch) = 0;
  // Between batches: checkpoints and the like, when due. Cheap when there is nothing to do. Throws StoreError (kFailed).
  virtual void maintain() = 0;
  // The last call of a clean stop. Throws StoreError (kFailed).
  virtual void finish() {}
};

// Each call is one short read transaction with a bound on the rows it looks at, and may throw StoreError.
class StoreReader {  // each used by one thread at a time; any number of them
 public:
  virtual ~StoreReader() = default;

  // delivery. `limit` rows and `max_bytes` of payload at most (but the first row of each priority, however large).
  virtual DueWindow due(EndpointSeq endpoint, int limit, std::size_t max_bytes) = 0;
  // Pending deliveries whose time is over at `now`, whatever holds them, blocked ones too: `limit` at most, after that
  // place. Their events have no payload.
  virtual std::vector<DueDelivery> expired(Time now, const ExpiryPlace& after, int limit) = 0;

  // status. A few seeks for each endpoint that has something pending, whatever its backlog.
  // The earliest due one of each of the next `limit` such endpoints, blocked ones counted, removed endpoints too.
  virtual std::vector<OldestDue> oldest_due(EndpointSeq after, int limit) = 0;
  // How many deliveries of an endpoint are pending, counted up to `limit`.
  virtual std::int64_t backlog(EndpointSeq endpoint, int limit) = 0;

  // endpoints
  virtual Endpoints all_endpoints() = 0;
  virtual std::optional<Endpoint> endpoint(const EndpointId& id) = 0;
  // Lists: a cursor that another list gave is refused with kInvalidParameter.
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

  // the SQL outbox: those not rejected, in order
  virtual std::vector<OutboxRow> outbox(int limit, std::size_t max_bytes) = 0;
  virtual Result<Rows<OutboxRow>> rejected_outbox(const Page& page) = 0;

  virtual StoreStatus status() = 0;
};

// Who serves the store: the partitions that are this daemon's from the start, and what it records them with.
struct Ownership {
  OwnerToken token;
  PartitionSet partitions;
};

class Store {
 public:
  virtual ~Store() = default;
  virtual StoreWriter& writer() = 0;
  virtual std::unique_ptr<StoreReader> new_reader() = 0;
  virtual Ownership ownership() const = 0;
  // Blocks until others have probably changed something (a producer's INSERT INTO outbox, another daemon's commit),
  // `timeout` passes, or interrupt() is called from another thread: answers what may be true now. One thread waits.
  virtual Facts wait_for_changes(Millis timeout) = 0;
  virtual void interrupt() = 0;
  // Nothing is under way any more for partitions that this daemon was told to give up.
  virtual void release(const PartitionSet& partitions) = 0;
};

}  // namespace outboxd
