#include "store/sqlite/reader.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "store/sqlite/rows.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/snapshot.h"
#include "store/sqlite/writer.h"

namespace outboxd::sqlite {
namespace {

constexpr int kHighestPriority = 9;
constexpr int kMostAttempts = 1000;
constexpr int kMostRejectedCounted = 10000;

std::int64_t size_of(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

void earlier(std::optional<Time>& next, Time t) {
  next = next ? std::min(*next, t) : t;
}

}  // namespace

Reader::Reader(std::string path, Millis busy_timeout, int cache_kib, std::shared_ptr<ReadGate> gate)
    : path_(std::move(path)), gate_(std::move(gate)), db_(path_, Mode::kReader, busy_timeout, cache_kib) {}

DueWindow Reader::due(EndpointSeq endpoint, Time now, int limit, std::size_t max_bytes) {
  const Snapshot snapshot(*this);
  DueWindow window;
  {
    Cursor row(endpoint_lives_, endpoint);
    if (!row.next()) return window;
  }
  std::size_t bytes = 0;
  for (int priority = kHighestPriority; priority >= 0; --priority) {
    Time first;
    {
      Cursor row(next_priority_, endpoint, priority);
      if (!row.next()) break;
      priority = row.number(0);
      first = row.time(1);
    }
    if (first > now) {
      earlier(window.next_due, first);
      continue;
    }
    if (!read_due(window, bytes, endpoint, priority, now, limit, max_bytes)) {
      window.next_due = now;
      break;
    }
    Cursor later(first_due_after_, endpoint, priority, millis(now));
    if (later.next()) earlier(window.next_due, later.time(0));
  }
  return window;
}

bool Reader::read_due(DueWindow& window, std::size_t& bytes, EndpointSeq endpoint, int priority, Time now,
                      int limit, std::size_t max_bytes) {
  const int room = limit - static_cast<int>(window.deliveries.size());
  Cursor row(due_of_priority_, endpoint, priority, millis(now), room + 1);
  for (int n = 0; row.next(); ++n) {
    bytes += row.view(8).size();
    if (n == room || (bytes > max_bytes && !window.deliveries.empty())) return false;
    auto event = std::make_shared<Event>();
    event->seq = row.integer(0);
    read_event(row, 5, *event);
    window.deliveries.push_back({.key = {event->seq, endpoint},
                                 .attempts = row.number(1),
                                 .attempts_ever = row.number(2),
                                 .due_at = row.time(3),
                                 .created_at = row.time(4),
                                 .event = std::move(event)});
  }
  return true;
}

std::vector<Endpoint> Reader::all_endpoints() {
  const Snapshot snapshot(*this);
  std::vector<Endpoint> endpoints;
  Cursor row(endpoints_after_, 0, std::numeric_limits<std::int64_t>::max());
  while (row.next()) endpoints.push_back(read_endpoint(row));
  return endpoints;
}

std::optional<Endpoint> Reader::endpoint(const EndpointId& id) {
  const Snapshot snapshot(*this);
  Cursor row(endpoint_by_id_, as_blob(id.uuid));
  if (!row.next()) return std::nullopt;
  return read_endpoint(row);
}

std::optional<EventRow> Reader::event(const EventId& id, bool with_payload) {
  const Snapshot snapshot(*this);
  Cursor row(event_by_id_, as_blob(id.uuid), with_payload ? 1 : 0);
  if (!row.next()) return std::nullopt;
  return read_event_row(row);
}

std::optional<DeliveryRow> Reader::delivery(DeliveryKey key) {
  const Snapshot snapshot(*this);
  Cursor row(delivery_by_key_, key.event, key.endpoint);
  if (!row.next()) return std::nullopt;
  return read_delivery_row(row);
}

std::vector<Attempt> Reader::attempts(DeliveryKey key) {
  const Snapshot snapshot(*this);
  std::vector<Attempt> attempts;
  Cursor row(attempts_, key.event, key.endpoint, kMostAttempts);
  while (row.next()) attempts.push_back(read_attempt(row));
  return attempts;
}

std::vector<OutboxRow> Reader::outbox(int limit, std::size_t max_bytes) {
  const Snapshot snapshot(*this);
  std::vector<OutboxRow> rows;
  std::size_t bytes = 0;
  Cursor row(outbox_waiting_, limit);
  while (row.next()) {
    bytes += row.view(2).size();
    if (bytes > max_bytes && !rows.empty()) break;
    rows.push_back(read_outbox_row(row));
  }
  return rows;
}

StoreStatus Reader::status() {
  const Snapshot snapshot(*this);
  const Tally tally = read_tally(read_counter_);
  StoreStatus status;
  status.pending = tally.pending;
  status.delivered = tally.delivered;
  status.dead = tally.dead;
  status.discarded = tally.discarded;
  status.events = tally.events;
  {
    Cursor row(count_rejected_, kMostRejectedCounted);
    if (row.next()) status.outbox_rejected = row.integer(0);
  }
  status.database_bytes = size_of(path_);
  status.wal_bytes = size_of(path_ + "-wal");
  status.schema_version = schema_version(db_);
  return status;
}

}  // namespace outboxd::sqlite
