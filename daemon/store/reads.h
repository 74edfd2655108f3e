// What can be read from the store: rows, pages and filters.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/delivery.h"
#include "common/endpoint.h"
#include "common/event.h"
#include "store/commands.h"

namespace outboxd {

// A delivery that may be attempted, with its event.
struct DueDelivery {
  DeliveryKey key;
  int attempts = 0;       // since creation or replay
  int attempts_ever = 0;  // number of the last attempt
  Time due_at{};          // by the store's clock: only comparable with that of other deliveries
  Millis due_in{0};       // counted from when the store reported it; zero or negative: due
  Time created_at{};
  std::optional<std::string> sequence_key;  // common/endpoint.h
  // The event's; absent also when an operator's retry or replay has lifted it.
  std::optional<Time> expires_at = {};
  std::shared_ptr<const Event> event;
};

// A position in the list of expiring deliveries, ordered by time, then key.
struct ExpiryPlace {
  Time expires_at{};
  DeliveryKey key;
};

// How long ago the oldest due delivery of an endpoint became due; negative: it becomes due in that time.
struct OldestDue {
  EndpointSeq endpoint = 0;
  Millis age{0};
};

// An endpoint of which every attempt has failed since then, as it is stored.
struct FailingEndpoint {
  EndpointSeq endpoint = 0;
  Time since{};
};

// How many deliveries an endpoint has, and how many of the pending ones cannot go yet, these counted up to a limit.
struct EndpointCounts {
  DeliveryCounts deliveries;
  std::int64_t blocked = 0;          // another one goes first, in their order
  std::int64_t later = 0;            // not due yet, and not blocked
  std::optional<Millis> oldest_due;  // for how long, blocked ones included; absent: nothing is due
};

// How many deliveries an endpoint has.
struct EndpointDeliveries {
  EndpointSeq endpoint = 0;
  DeliveryCounts counts;
};

// What is waiting on disk for an endpoint's lane.
struct DueWindow {
  // Due now: higher priority first, then earlier due, then earlier accepted. If there are more than requested, up to a
  // sixteenth of the rows is reserved for each priority, so that the low ones do not starve.
  std::vector<DueDelivery> deliveries;
  // When to look again: 0 if more are due than were returned, otherwise the wait until the next one is due; absent:
  // nothing else is pending.
  std::optional<Millis> next_due_in;
};

struct Page {
  int limit = 50;
  std::string after;  // cursor: `next` of an earlier page
};
template <class Row>
struct Rows {
  std::vector<Row> rows;
  // Absent: this was the last page. A short page may still have a next one, because each page examines a bounded number
  // of rows.
  std::optional<std::string> next;
};

struct EventFilter {
  std::optional<std::string> tenant, type;
  std::optional<Time> since, until;  // created_at, [since, until)
  bool unmatched = false;            // only those that no endpoint wanted
};
struct DeliveryFilter {
  std::optional<DeliveryState> state;
  std::optional<EndpointId> endpoint;
  std::optional<EventId> event;
  std::optional<std::string> tenant, type;
  std::optional<std::string> error;  // an outcome class, or "any"
  std::optional<DeadReason> reason;
  std::optional<int> status;         // of the last attempt
  std::optional<Time> since, until;  // created_at of the event
};
struct DeliveryRow {
  Delivery delivery;
  EventId event;
  EndpointId endpoint;
  std::string event_type, tenant;
  bool blocked = false;  // while pending: another delivery goes first, in their order
};
struct EventRow {
  Event event;  // payload empty
  std::int64_t deliveries = 0;
  std::int64_t payload_bytes = 0;
  std::optional<Time> payload_erased_at = {};
};
// An event type that was seen, within its tenant.
struct EventTypeRow {
  std::string tenant, type;
  std::int64_t events = 0;
  Time last_at{};
};
struct EventTypeFilter {
  std::optional<std::string> tenant;
};
// A row of the SQL outbox, as the producer wrote it.
struct OutboxRow {
  std::int64_t row = 0;
  std::string type, payload;
  bool payload_is_text = true;
  std::optional<std::string> tenant, content_type, ordering_key, idempotency_key, headers, deliver_at,
      expires_at, traceparent;
  std::optional<std::int64_t> priority;
  std::optional<std::string> rejected;  // the reason; set in lists of rejected rows
  std::optional<Time> rejected_at;
};
// An event for which some deliveries are still to be made.
struct UnfinishedFanOut {
  std::shared_ptr<const Event> event;
  EndpointSeq after = 0, last = 0;  // matching endpoints in (after, last] still need a delivery
};
// The endpoints that are not removed, and the version of the directory they belong to.
struct Endpoints {
  std::vector<Endpoint> endpoints;
  DirectoryVersion version = 0;
};
// How many secrets are encrypted with each key, by key id ("" for secrets in plain text).
using SecretKeys = std::map<std::string, std::int64_t>;
// A daemon that shares the store.
struct StoreMember {
  std::string name;     // "outboxd@shop-1:4711"
  std::string address;  // as the store's server sees it; "local" over a Unix socket
  Time joined_at{};
  Millis heartbeat_age{0};  // since it last proved that it is there
  int partitions = 0;       // that it owns, of kPartitions
  bool self = false;        // the one that is asked
};
struct StoreStatus : DeliveryCounts {  // the deliveries of all endpoints
  std::int64_t events = 0;
  std::int64_t outbox_rejected = 0;
  std::int64_t database_bytes = 0;
  int schema_version = 0;
  std::vector<StoreMember> members;  // by name; empty: the store is for one daemon alone
  // Further figures of this kind of store, by the names that users see: "wal_bytes" of a file; of a server
  // "synchronous_standbys", "oldest_snapshot_seconds", "pending_dead_rows", "prepared_transactions", "inactive_slots"
  // (what each means: ctl/doctor_server.cpp).
  std::vector<std::pair<std::string, std::int64_t>> figures;
};

}  // namespace outboxd
