#include "store/postgresql/reader.h"

#include "store/endpoint_columns.h"
#include "store/postgresql/reader_session.h"
#include "store/rows.h"

namespace outboxd::postgresql {
namespace {

constexpr int kMaxAttempts = 1000;
constexpr int kMaxRejectedCounted = 10'000;
constexpr Millis kAheadKnown = std::chrono::minutes(1);

// Absent: all.
std::optional<std::vector<std::int64_t>> partitions_owned(const Standing* standing) {
  const PartitionSet owned = standing != nullptr ? standing->owned() : PartitionSet().set();
  if (owned.all()) return std::nullopt;
  std::vector<std::int64_t> numbers;
  numbers.reserve(owned.count());
  for (std::size_t i = 0; i < owned.size(); ++i) {
    if (owned.test(i)) numbers.push_back(static_cast<std::int64_t>(i));
  }
  return numbers;
}

}  // namespace

Reader::Reader(ReaderOptions options) : options_(std::move(options)) {}
Reader::~Reader() = default;

// Also when this daemon has joined the others anew: the server may have become another one, while the former one, cut off
// from its standby, still answers reads with what was true before.
void Reader::connect() {
  const int joins = options_.standing ? options_.standing->joins() : 0;
  try {
    if (!session_) {
      session_ = std::make_unique<Session>(options_);
    } else if (session_->db.is_lost() || joins != joins_) {
      session_->db.reconnect();
    }
    joins_ = joins;
  } catch (const StoreError& error) {
    // The store was opened with the same URL: a server that refuses it now may take it again.
    if (error.kind != StoreError::Kind::kCannotOpen) throw;
    throw StoreError(StoreError::Kind::kBusy, error.what());
  }
}

std::optional<std::int64_t> Reader::now_for_tests() const {
  return options_.clock ? std::optional(millis(options_.clock->wall())) : std::nullopt;
}

// Whole seconds, so that what is shown does not waver by the time that asking took.
Millis Reader::ahead(Session& session) {
  if (options_.clock) return Millis(0);
  const Millis now = steady_now();
  if (session.ahead_known_at && now - *session.ahead_known_at < kAheadKnown) return session.ahead;
  Cursor row(session.clock);
  if (!row.next()) return session.ahead;
  const auto exact = std::chrono::milliseconds(row.integer(0) - unix_millis(SystemClock().wall()));
  session.ahead = std::chrono::duration_cast<std::chrono::seconds>(exact);
  session.ahead_known_at = now;
  return session.ahead;
}

// Of this daemon's partitions: whatever it recorded of others would be refused.
std::vector<DueDelivery> Reader::expired(Time now, const ExpiryPlace& after, int limit) {
  const auto partitions = partitions_owned(options_.standing);
  return read([&](Session& session) {
    std::vector<DueDelivery> found;
    if (partitions && partitions->empty()) return found;
    const std::int64_t from = millis(after.expires_at), to = millis(now);
    Cursor row = partitions ? Cursor(session.expired_of_partitions, from, after.key.event, after.key.endpoint,
                                     to, limit, now_for_tests(), *partitions)
                            : Cursor(session.expired, from, after.key.event, after.key.endpoint, to, limit,
                                     now_for_tests());
    found.reserve(static_cast<std::size_t>(row.size()));
    while (row.next()) {
      auto event = std::make_shared<Event>();
      const DeliveryKey key{row.integer(0), row.integer(1)};
      event->seq = key.event;
      event->id = EventId{row.uuid(8)};
      event->type = row.text(9);
      found.push_back({.key = key,
                       .attempts = read_attempts(row.integer(2)),
                       .attempts_ever = read_attempts(row.integer(3)),
                       .due_at = row.time(4),
                       .due_in = row.time(4) - row.time(10),
                       .created_at = row.time(5),
                       .sequence_key = row.optional_text(6),
                       .expires_at = row.time(7),
                       .event = std::move(event)});
    }
    return found;
  });
}

std::vector<OldestDue> Reader::oldest_due(EndpointSeq after, int limit) {
  return read([&](Session& session) {
    std::vector<OldestDue> all;
    Cursor row(session.oldest_due, after, limit, now_for_tests());
    all.reserve(static_cast<std::size_t>(row.size()));
    while (row.next()) all.push_back({row.integer(0), Millis(row.integer(1))});
    return all;
  });
}

std::vector<FailingEndpoint> Reader::failing_endpoints(int limit) {
  return read([&](Session& session) {
    std::vector<FailingEndpoint> all;
    Cursor row(session.failing_endpoints, limit);
    all.reserve(static_cast<std::size_t>(row.size()));
    while (row.next()) all.push_back({row.integer(0), row.time(1)});
    return all;
  });
}

EndpointCounts Reader::counts(EndpointSeq endpoint, int limit) {
  return read([&](Session& session) {
    EndpointCounts found;
    Cursor row(session.counts, endpoint, limit, now_for_tests());
    if (!row.next()) return found;
    found.deliveries = {row.integer(0), row.integer(1), row.integer(2), row.integer(3)};
    found.blocked = row.integer(4);
    found.later = row.integer(5);
    if (!row.is_null(6) && row.integer(6) >= 0) found.oldest_due = Millis(row.integer(6));
    return found;
  });
}

std::vector<EndpointDeliveries> Reader::delivery_counts(EndpointSeq after, int limit) {
  return read([&](Session& session) {
    std::vector<EndpointDeliveries> all;
    Cursor row(session.delivery_counts, after, limit);
    all.reserve(static_cast<std::size_t>(row.size()));
    while (row.next()) {
      all.push_back({row.integer(0), {row.integer(1), row.integer(2), row.integer(3), row.integer(4)}});
    }
    return all;
  });
}

Endpoints Reader::all_endpoints() {
  constexpr int kVersion = 29;
  return read([&](Session& session) {
    Endpoints all;
    Cursor row(session.all_endpoints);
    all.endpoints.reserve(static_cast<std::size_t>(row.size()));
    while (row.next()) {
      all.version = static_cast<DirectoryVersion>(row.integer(kVersion));
      if (!row.is_null(0)) all.endpoints.push_back(read_endpoint(row, options_.secrets.get()));
    }
    return all;
  });
}

std::optional<Endpoint> Reader::endpoint(const EndpointId& id) {
  return read([&](Session& session) -> std::optional<Endpoint> {
    Cursor row(session.endpoint, id.uuid);
    if (!row.next()) return std::nullopt;
    return read_endpoint(row, options_.secrets.get());
  });
}

SecretKeys Reader::secret_keys() {
  constexpr int kAtOnce = 500;
  return read([&](Session& session) {
    SecretKeys counts;
    EndpointSeq after = 0;
    for (int rows = kAtOnce; rows == kAtOnce;) {
      Cursor row(session.secrets_after, after, kAtOnce);
      rows = row.size();
      while (row.next()) {
        after = row.integer(0);
        count_secret_keys(row.view(1), counts);
      }
    }
    return counts;
  });
}

std::optional<EventRow> Reader::event(const EventId& id, bool with_payload) {
  return read([&](Session& session) -> std::optional<EventRow> {
    const std::int64_t day = day_of(id.uuid);
    Cursor row(session.event_by_id, id.uuid, day, day + kKeptDays, with_payload);
    if (!row.next()) return std::nullopt;
    return read_event_row(row);
  });
}

std::optional<DeliveryRow> Reader::delivery(DeliveryKey key) {
  constexpr int kEventId = 10, kEndpointId = 11;
  return read([&](Session& session) -> std::optional<DeliveryRow> {
    Cursor row(session.delivery_by_key, key.event, key.endpoint);
    if (!row.next() || row.is_null(kEventId) || row.is_null(kEndpointId)) return std::nullopt;
    return read_delivery_row(row, ahead(session));
  });
}

std::vector<Attempt> Reader::attempts(DeliveryKey key) {
  return read([&](Session& session) {
    std::vector<Attempt> attempts;
    Cursor row(session.attempts, key.event, key.endpoint, kMaxAttempts);
    attempts.reserve(static_cast<std::size_t>(row.size()));
    while (row.next()) attempts.push_back(read_attempt(row));
    return attempts;
  });
}

std::vector<UnfinishedFanOut> Reader::unfinished_fan_outs(EventSeq after, int limit) {
  constexpr int kFirst = 3;
  return read([&](Session& session) {
    std::vector<UnfinishedFanOut> rows;
    Cursor row(session.unfinished_fan_outs, after, limit);
    rows.reserve(static_cast<std::size_t>(row.size()));
    while (row.next())
      rows.push_back({read_checked_event(row, row.integer(0), kFirst, 0), row.integer(1), row.integer(2)});
    return rows;
  });
}

SourcePlace Reader::source_place(const std::string& source) {
  return read([&](Session& session) {
    Cursor row(session.source_place, source);
    return row.next() ? read_source_place(row) : SourcePlace{};
  });
}

StoreStatus Reader::status() {
  return read([&](Session& session) {
    StoreStatus status;
    Pipeline both(session.db);
    both.add(session.status, kMaxRejectedCounted).add(session.members);
    both.run();
    Cursor row = both.rows(0);
    if (!row.next()) return status;
    static_cast<DeliveryCounts&>(status) = {row.integer(0), row.integer(1), row.integer(2), row.integer(3)};
    status.events = row.integer(4);
    status.outbox_rejected = row.integer(5);
    status.database_bytes = row.integer(6);
    status.schema_version = row.number(7);
    status.figures = {{"synchronous_standbys", row.integer(8)},
                      {"oldest_snapshot_seconds", row.integer(9)},
                      {"pending_dead_rows", row.integer(10)},
                      {"prepared_transactions", row.integer(11)},
                      {"inactive_slots", row.integer(12)}};
    const std::string self = options_.standing ? options_.standing->now().token : "";
    Cursor member = both.rows(1);
    status.members.reserve(static_cast<std::size_t>(member.size()));
    while (member.next()) {
      status.members.push_back({.name = member.text(1),
                                .address = member.text(2),
                                .joined_at = member.time(3),
                                .heartbeat_age = Millis(member.integer(4)),
                                .partitions = member.number(5),
                                .self = !self.empty() && member.view(0) == self});
    }
    return status;
  });
}

}  // namespace outboxd::postgresql
