// What is read from the store: rows, pages and filters.
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
  Time due_at{};          // by the store's clock: to be compared with other deliveries' alone
  Millis due_in{0};       // from when the store told of it; not positive: it is due
  Time created_at{};
  std::optional<std::string> sequence_key;  // common/endpoint.h
  // The event's; absent too when an operator's retry or replay overrode it.
  std::optional<Time> expires_at = {};
  std::shared_ptr<const Event> event;
};

// A place among the deliveries that expire, which are ordered by time, then key.
struct ExpiryPlace {
  Time expires_at{};
  DeliveryKey key;
};

// How long ago something at an endpoint became due; negative: it becomes due in so long.
struct OldestDue {
  EndpointSeq endpoint = 0;
  Millis age{0};
};

// What an endpoint's lane has waiting on disk.
struct DueWindow {
  // Due now: higher priority first, then earlier due, then earlier accepted. When there are more than asked for, every
  // priority that has something due is there with at least a sixteenth of the rows: the low ones must not starve.
  std::vector<DueDelivery> deliveries;
  // When to look again: 0 if more are due than were returned, else the wait for the earliest later one; absent: nothing
  // is pending beyond these.
  std::optional<Millis> next_due_in;
};

struct Page {
  int limit = 50;
  std::string after;  // cursor, as an earlier page gave it
};
template <class Row>
struct Rows {
  std::vector<Row> rows;
  // Absent: that was the last page. A page may be short and still have a next one: each looks at a bounded number of
  // rows.
  std::optional<std::string> next;
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
// A row of the SQL outbox, as the producer wrote it.
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
// The endpoints that are not removed, and the version that they are of.
struct Endpoints {
  std::vector<Endpoint> endpoints;
  DirectoryVersion version = 0;
};
// How many secrets are encrypted with the key of each id ("" for those in plain).
using SecretKeys = std::map<std::string, std::int64_t>;
struct StoreStatus {
  std::int64_t pending = 0, delivered = 0, dead = 0, discarded = 0;  // deliveries by state
  std::int64_t events = 0;
  std::int64_t outbox_rejected = 0;
  std::int64_t database_bytes = 0;
  int schema_version = 0;
  // What a store of this kind has to tell besides, by the names that users see ("wal_bytes").
  std::vector<std::pair<std::string, std::int64_t>> figures;
};

}  // namespace outboxd
