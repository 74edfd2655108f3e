#include "store/sqlite/reader.h"

#include <algorithm>
#include <limits>

#include "store/endpoint_columns.h"
#include "store/endpoint_secrets.h"
#include "store/sqlite/counters.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/snapshot.h"

namespace outboxd::sqlite {
namespace {

constexpr int kHighestPriority = 9;
constexpr int kMaxAttempts = 1000;
constexpr int kMaxRejectedCounted = 10000;

void earlier(std::optional<Time>& next, Time t) {
  next = next ? std::min(*next, t) : t;
}

}  // namespace

Reader::Reader(const Location& location, Millis busy_timeout, int cache_kib, std::shared_ptr<Shared> shared,
               std::shared_ptr<const SecretBox> secrets, std::function<void()> on_error)
    : shared_(std::move(shared)),
      secrets_(std::move(secrets)),
      db_(location, Mode::kReader, busy_timeout, cache_kib, std::move(on_error)),
      last_unchecked_(db_.query_int(std::string(sql::kLastUnchecked))) {}

// Reads what an endpoint has due, with a few seeks per priority, whatever the backlog.
class Reader::DueScan {
 public:
  // `now` and all due times are as on disk (due_clock.h).
  DueScan(Reader& reader, EndpointSeq endpoint, Time now, int limit, std::size_t max_bytes,
          std::span<const EventSeq> held)
      : reader_(reader), endpoint_(endpoint), now_(now), limit_(limit), max_bytes_(max_bytes), held_(held) {}

  DueWindow run() {
    find_levels();
    int reserved = 0;
    for (const Level& level : levels_) reserved += level.reserved;
    for (const Level& level : levels_) {
      reserved -= level.reserved;
      read(level.priority, reserved);
      if (next_due_ == now_) continue;  // more are due than fit: later due times do not matter
      Cursor later(reader_.first_due_after_, endpoint_, level.priority, millis(now_));
      if (later.next()) earlier(next_due_, later.time(0));
    }
    if (next_due_) window_.next_due_in = *next_due_ - now_;
    return std::move(window_);
  }

 private:
  struct Level {
    int priority;
    int reserved = 0;  // rows it is guaranteed before a higher priority gets more
  };

  // The priorities that have something due.
  void find_levels() {
    for (int priority = kHighestPriority; priority >= 0; --priority) {
      Cursor row(reader_.next_priority_, endpoint_, priority);
      if (!row.next()) break;
      priority = read_priority(row.integer(0));
      if (row.time(1) > now_) {
        earlier(next_due_, row.time(1));
      } else {
        levels_.push_back({priority});
      }
    }
    if (levels_.size() < 2) return;
    const int share = std::max(1, limit_ / kShares);
    for (Level& level : levels_) {
      Cursor count(reader_.count_due_, endpoint_, level.priority, millis(now_), share);
      if (count.next()) level.reserved = count.number(0);
    }
  }

  // Reads what is due of one priority, but leaves the rows reserved for lower ones.
  void read(int priority, int reserved) {
    const int left = limit_ - static_cast<int>(window_.deliveries.size());
    const int room = std::clamp(left - reserved, std::min(1, left), left);
    Cursor row(reader_.due_of_priority_, endpoint_, priority, millis(now_),
               room + 1 + static_cast<int>(held_.size()));
    for (int n = 0; row.next();) {
      if (std::ranges::binary_search(held_, row.integer(0))) continue;
      const std::size_t bytes = row.view(kPayload).size() + row.view(kCloudEvent).size();
      if (n == room || (n > 0 && bytes_ + bytes > max_bytes_)) {
        next_due_ = now_;
        return;
      }
      bytes_ += bytes;
      const DeliveryKey key{row.integer(0), endpoint_};
      auto event = read_checked_event(row, key.event, kEvent, reader_.last_unchecked_);
      window_.deliveries.push_back({.key = key,
                                    .attempts = read_attempts(row.integer(1)),
                                    .attempts_ever = read_attempts(row.integer(2)),
                                    .due_at = row.time(3),
                                    .due_in = row.time(3) - now_,
                                    .created_at = row.time(4),
                                    .sequence_key = row.optional_text(5),
                                    .expires_at = row.optional_time(6),
                                    .event = std::move(event)});
      ++n;
    }
  }

  static constexpr int kShares = 16;
  static constexpr int kEvent = 7;                                       // first column of the event
  static constexpr int kPayload = kEvent + 3, kCloudEvent = kEvent + 9;  // see read_event

  Reader& reader_;
  const EndpointSeq endpoint_;
  const Time now_;
  const int limit_;
  const std::size_t max_bytes_;
  const std::span<const EventSeq> held_;
  std::vector<Level> levels_;
  std::size_t bytes_ = 0;
  std::optional<Time> next_due_;
  DueWindow window_;
};

DueWindow Reader::due(EndpointSeq endpoint, int limit, std::size_t max_bytes,
                      std::span<const EventSeq> held) {
  const Time now = shared_->due_clock.now();
  const Snapshot snapshot(*this);
  {
    Cursor row(endpoint_lives_, endpoint);
    if (!row.next()) return {};
  }
  return DueScan(*this, endpoint, now, limit, max_bytes, held).run();
}

std::vector<DueDelivery> Reader::expired(Time now, const ExpiryPlace& after, int limit) {
  const Time due_now = shared_->due_clock.now();
  const Snapshot snapshot(*this);
  std::vector<DueDelivery> found;
  Cursor row(expired_after_, millis(after.expires_at), after.key.event, after.key.endpoint, millis(now),
             limit);
  while (row.next()) {
    auto event = std::make_shared<Event>();
    const DeliveryKey key{row.integer(0), row.integer(1)};
    event->seq = key.event;
    // The id itself may be damaged: then this delivery dies of it, and the others go on.
    if (const auto id = row.view(8); id.size() == event->id.uuid.bytes.size()) {
      event->id = EventId{read_uuid(id)};
    } else {
      event->damaged = true;
    }
    event->type = row.text(9);
    found.push_back({.key = key,
                     .attempts = read_attempts(row.integer(2)),
                     .attempts_ever = read_attempts(row.integer(3)),
                     .due_at = row.time(4),
                     .due_in = row.time(4) - due_now,
                     .created_at = row.time(5),
                     .sequence_key = row.optional_text(6),
                     .expires_at = row.time(7),
                     .event = std::move(event)});
  }
  return found;
}

// Merges two lists, both ordered by endpoint: deliveries that may be attempted, and blocked ones.
std::vector<OldestDue> Reader::oldest_due(EndpointSeq after, int limit) {
  const Time now = shared_->due_clock.now();
  const Snapshot snapshot(*this);
  const auto next_head = [&](EndpointSeq last) -> std::optional<OldestDue> {
    Cursor row(next_pending_endpoint_, last);
    if (!row.next()) return std::nullopt;
    OldestDue found{row.integer(0), now - row.time(2)};
    for (int priority = read_priority(row.integer(1)) - 1; priority >= 0; --priority) {
      Cursor lower(next_priority_, found.endpoint, priority);
      if (!lower.next()) break;
      priority = read_priority(lower.integer(0));
      found.age = std::max(found.age, now - lower.time(1));
    }
    return found;
  };
  const auto next_blocked = [&](EndpointSeq last) -> std::optional<OldestDue> {
    Cursor row(next_endpoint_blocked_, last);
    if (!row.next()) return std::nullopt;
    return OldestDue{row.integer(0), now - row.time(1)};
  };
  std::vector<OldestDue> all;
  auto head = next_head(after), blocked = next_blocked(after);
  while ((head || blocked) && static_cast<int>(all.size()) < limit) {
    const bool both = head && blocked && head->endpoint == blocked->endpoint;
    const bool takes_head = both || !blocked || (head && head->endpoint < blocked->endpoint);
    OldestDue one = takes_head ? *head : *blocked;
    if (both) one.age = std::max(one.age, blocked->age);
    if (takes_head) head = next_head(one.endpoint);
    if (both || !takes_head) blocked = next_blocked(one.endpoint);
    all.push_back(one);
  }
  return all;
}

EndpointCounts Reader::counts(EndpointSeq endpoint, int limit) {
  EndpointCounts found;
  // Of this endpoint, if it has anything pending; else of the next one that has.
  const auto oldest = oldest_due(endpoint - 1, 1);
  if (!oldest.empty() && oldest.front().endpoint == endpoint && oldest.front().age >= Millis(0))
    found.oldest_due = oldest.front().age;
  const Snapshot snapshot(*this);
  {
    Cursor row(read_endpoint_count_, endpoint);
    if (row.next()) found.deliveries = {row.integer(0), row.integer(1), row.integer(2), row.integer(3)};
  }
  if (found.deliveries.pending == 0) return found;
  {
    Cursor row(count_blocked_, endpoint, limit);
    if (row.next()) found.blocked = row.integer(0);
  }
  const std::int64_t now = millis(shared_->due_clock.now());
  for (int priority = kHighestPriority; priority >= 0 && found.later < limit; --priority) {
    {
      Cursor next(next_priority_, endpoint, priority);
      if (!next.next()) break;
      priority = read_priority(next.integer(0));
    }
    Cursor row(count_later_, endpoint, priority, now, limit - found.later);
    if (row.next()) found.later += row.integer(0);
  }
  return found;
}

std::vector<EndpointDeliveries> Reader::delivery_counts(EndpointSeq after, int limit) {
  const Snapshot snapshot(*this);
  std::vector<EndpointDeliveries> all;
  all.reserve(static_cast<std::size_t>(limit));
  Cursor row(endpoint_counts_after_, after, limit);
  while (row.next()) {
    all.push_back({row.integer(0), {row.integer(1), row.integer(2), row.integer(3), row.integer(4)}});
  }
  return all;
}

Endpoints Reader::all_endpoints() {
  // Read the version before the endpoints. Endpoints newer than the version only cause a needless second match; a
  // version newer than the endpoints would let deliveries be stored for removed ones.
  Endpoints all{.endpoints = {}, .version = shared_->directory_version};
  const Snapshot snapshot(*this);
  Cursor row(endpoints_after_, 0, std::numeric_limits<std::int64_t>::max());
  while (row.next()) all.endpoints.push_back(read_endpoint(row, secrets_.get()));
  return all;
}

std::optional<Endpoint> Reader::endpoint(const EndpointId& id) {
  const Snapshot snapshot(*this);
  Cursor row(endpoint_by_id_, as_blob(id.uuid));
  if (!row.next()) return std::nullopt;
  return read_endpoint(row, secrets_.get());
}

SecretKeys Reader::secret_keys() {
  constexpr int kAtOnce = 500;
  SecretKeys counts;
  EndpointSeq after = 0;
  for (int rows = kAtOnce; rows == kAtOnce;) {
    const Snapshot snapshot(*this);
    Cursor row(secrets_after_, after, kAtOnce);
    for (rows = 0; row.next(); ++rows) {
      after = row.integer(0);
      count_secret_keys(row.view(2), counts);
    }
  }
  return counts;
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
  return read_delivery_row(row, shared_->due_clock.ahead());
}

std::vector<Attempt> Reader::attempts(DeliveryKey key) {
  const Snapshot snapshot(*this);
  std::vector<Attempt> attempts;
  Cursor row(attempts_, key.event, key.endpoint, kMaxAttempts);
  while (row.next()) attempts.push_back(read_attempt(row));
  return attempts;
}

std::vector<UnfinishedFanOut> Reader::unfinished_fan_outs(EventSeq after, int limit) {
  const Snapshot snapshot(*this);
  std::vector<UnfinishedFanOut> rows;
  Cursor row(unfinished_fan_outs_, after, limit);
  while (row.next()) {
    rows.push_back(
        {read_checked_event(row, row.integer(0), 3, last_unchecked_), row.integer(1), row.integer(2)});
  }
  return rows;
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

std::optional<OutboxRow> Reader::rejected_row(std::int64_t number) {
  const Snapshot snapshot(*this);
  Cursor row(rejected_row_, number);
  if (!row.next()) return std::nullopt;
  return read_outbox_row(row);
}

SourcePlace Reader::source_place(const std::string& source) {
  const Snapshot snapshot(*this);
  Cursor row(source_place_, source);
  return row.next() ? read_source_place(row) : SourcePlace{};
}

StoreStatus Reader::status() {
  const Snapshot snapshot(*this);
  const Counters counters = read_counters(read_counter_);
  StoreStatus status;
  static_cast<DeliveryCounts&>(status) = counters.deliveries;
  status.events = counters.events;
  {
    Cursor row(count_rejected_, kMaxRejectedCounted);
    if (row.next()) status.outbox_rejected = row.integer(0);
  }
  status.database_bytes = db_.file_size();
  status.figures = {
      {"wal_bytes", db_.wal_size()},
      {"free_bytes", db_.query_int("PRAGMA freelist_count") * db_.query_int("PRAGMA page_size")}};
  status.schema_version = schema_version(db_);
  return status;
}

}  // namespace outboxd::sqlite
