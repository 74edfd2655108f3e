// The lists that people ask for: keyset pages, each examining at most kMaxRowsExamined rows. Filters that no index
// serves are applied here, row by row, so that the statements stay few and fixed.
#include <algorithm>
#include <limits>

#include "store/endpoint_columns.h"
#include "store/list_cursor.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/snapshot.h"

namespace outboxd::sqlite {
namespace {

constexpr int kMaxRowsExamined = 20000;
constexpr int kMaxRowsOfBatch = 4000;  // its steps share a thread with others
constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();
constexpr int kMaxPage = 1000;
constexpr std::int64_t kHighestPriority = 9;
// Events are numbered in the order of their commits, which is the order of their times except for overlapping requests
// and small steps of the clock: lists bounded in time look this much further.
constexpr Millis kClockSlack = std::chrono::minutes(1);

std::size_t page_size(const Page& page) {
  return static_cast<std::size_t>(std::clamp(page.limit, 1, kMaxPage));
}

template <class T>
bool fits(const std::optional<T>& wanted, const T& value) {
  return !wanted || *wanted == value;
}

bool in_time(const std::optional<Time>& since, const std::optional<Time>& until, Time t) {
  return (!since || t >= *since) && (!until || t < *until);
}

bool is_too_old(const std::optional<Time>& since, Time t) {
  return since && t < *since - kClockSlack;
}

}  // namespace

// Collects the rows of one page of deliveries, whatever range they are read from.
class Reader::DeliveryScan {
 public:
  // `batch`: only what it has still to act upon.
  DeliveryScan(Reader& reader, const DeliveryFilter& filter, std::optional<EndpointSeq> endpoint,
               std::size_t limit, char list, const OperatorBatch* batch = nullptr)
      : reader_(reader),
        ahead_(reader.shared_->due_clock.ahead()),
        filter_(filter),
        endpoint_(endpoint),
        limit_(limit),
        list_(list),
        batch_(batch) {}

  int rows_left() const { return (batch_ ? kMaxRowsOfBatch : kMaxRowsExamined) - examined_; }
  bool done() const { return done_; }
  // `make_key` gives the key of a row, for the cursor; `newest_first` allows stopping at the first event that is too
  // old.
  template <class MakeKey>
  void read(Cursor& row, bool newest_first, MakeKey make_key) {
    while (!done_ && row.next()) {
      if (is_full([this] { return write_cursor(list_, last_); })) return;
      ++examined_;
      const Time created_at = row.time(14);
      if (newest_first && is_too_old(filter_.since, created_at)) {
        done_ = true;
        return;
      }
      last_ = make_key(row);
      if (matches(row, created_at)) rows.rows.push_back(read_delivery_row(row, ahead_));
    }
  }

  // Of deliveries in order, takes only the blocked ones, because it comes after the others. A batch that acts takes the
  // rest too, because one that is promoted meanwhile may have its place before that of the batch. `previous` is the place
  // of the row before; absent if that row was not one in order.
  void read_blocked(Cursor& row, std::optional<PlaceInOrder> previous) {
    const auto cursor = [&] { return previous ? write_cursor(*previous) : write_cursor(list_, last_); };
    while (!done_ && row.next()) {
      const bool wanted = row.number(16) != 0 || may_have_been_passed(row);
      if ((wanted || rows_left() <= 0) && is_full(cursor)) return;
      ++examined_;
      previous = {row.text(15), row.integer(0)};
      if (wanted && matches(row, row.time(14))) rows.rows.push_back(read_delivery_row(row, ahead_));
    }
  }

  Rows<DeliveryRow> rows;

 private:
  // Not blocked, and not on this page either.
  bool may_have_been_passed(const Cursor& row) const {
    if (batch_ == nullptr || batch_->number == kOnlyCounts) return false;
    const DeliveryKey key{row.integer(0), row.integer(1)};
    return std::ranges::none_of(rows.rows, [&](const DeliveryRow& one) { return one.delivery.key == key; });
  }
  template <class MakeCursor>
  bool is_full(MakeCursor make_cursor) {
    if (rows.rows.size() < limit_ && rows_left() > 0) return false;
    rows.next = make_cursor();
    done_ = true;
    return true;
  }
  bool matches(const Cursor& row, Time created_at) const {
    if (endpoint_ && row.integer(1) != *endpoint_) return false;
    if (filter_.state && row.view(2) != to_string(*filter_.state)) return false;
    if (filter_.reason && row.view(3) != to_string(*filter_.reason)) return false;
    if (batch_ && (row.integer(17) >= batch_->number || !may_act(batch_->action, read_state(row.view(2)))))
      return false;
    if (filter_.type && row.view(12) != *filter_.type) return false;
    if (filter_.tenant && row.view(13) != *filter_.tenant) return false;
    if (!in_time(filter_.since, filter_.until, created_at)) return false;
    return (!filter_.error && !filter_.status) || last_failed_so(row);
  }
  // Attempts go on while a batch is under way: what counts is the last one before it was made.
  bool last_failed_so(const Cursor& row) const {
    const bool of_then = batch_ && row.view(2) == to_string(DeliveryState::kPending);
    auto error = row.optional_text(7);
    int status = 0;
    if (of_then || filter_.status) {
      Cursor last(reader_.last_attempt_before_, row.integer(0), row.integer(1),
                  of_then ? batch_->number : kEnd);
      const bool any = last.next();
      if (any) status = last.number(1);
      if (of_then)
        error = any && last.view(0) != to_string(Outcome::kSuccess) ? last.optional_text(0) : std::nullopt;
    }
    if (filter_.status && status != *filter_.status) return false;
    return !filter_.error || (error && (*filter_.error == "any" || *error == *filter_.error));
  }

  Reader& reader_;
  const Millis ahead_;  // see due_clock.h
  const DeliveryFilter& filter_;
  std::optional<EndpointSeq> endpoint_;
  std::size_t limit_;
  char list_;
  const OperatorBatch* const batch_;
  CursorKey last_;
  int examined_ = 0;
  bool done_ = false;
};

std::optional<EventSeq> Reader::seq_of(const EventId& id) {
  Cursor row(event_seq_by_id_, as_blob(id.uuid));
  if (!row.next()) return std::nullopt;
  return row.integer(0);
}

std::optional<EndpointSeq> Reader::seq_of(const EndpointId& id) {
  Cursor row(endpoint_seq_by_id_, as_blob(id.uuid));
  if (!row.next()) return std::nullopt;
  return row.integer(0);
}

// A number just above that of every event created before `until`, found by id because ids begin with their time (RFC
// 9562).
EventSeq Reader::newest_before(const std::optional<Time>& until) {
  if (!until) return kEnd;
  const Uuid id = first_id_of(*until + kClockSlack);
  Cursor row(last_event_before_id_, as_blob(id));
  return row.next() ? row.integer(0) + 1 : 0;
}

// The other end: every event that was created since then has a higher number.
EventSeq Reader::oldest_since(const std::optional<Time>& since) {
  return since ? std::max<EventSeq>(newest_before(*since - 2 * kClockSlack) - 1, 0) : 0;
}

Result<Rows<Endpoint>> Reader::endpoints(const std::optional<std::string>& tenant, const Page& page) {
  const Snapshot snapshot(*this);
  Rows<Endpoint> answer;
  const auto key = read_cursor(page.after, 'p', {0});
  if (!key) return tl::unexpected(key.error());
  const std::size_t limit = page_size(page);
  const auto wanted = static_cast<std::int64_t>(limit + 1);
  const auto collect = [&](Cursor row) {
    while (row.next()) {
      if (answer.rows.size() == limit) {
        answer.next = write_cursor('p', {answer.rows.back().seq});
        return;
      }
      answer.rows.push_back(read_endpoint(row, secrets_.get()));
    }
  };
  tenant ? collect(Cursor(endpoints_of_tenant_after_, *tenant, key->at(0), wanted))
         : collect(Cursor(endpoints_after_, key->at(0), wanted));
  return answer;
}

Result<Rows<EventRow>> Reader::events(const EventFilter& filter, const Page& page) {
  const Snapshot snapshot(*this);
  const auto key = read_cursor(page.after, 'e', {kEnd});
  if (!key) return tl::unexpected(key.error());
  const EventSeq before = page.after.empty() ? newest_before(filter.until) : key->at(0);
  Rows<EventRow> answer;
  EventSeq last = before;
  int examined = 0;
  Cursor row(filter.unmatched ? unmatched_before_ : events_before_, before, kMaxRowsExamined + 1);
  while (row.next()) {
    if (answer.rows.size() == page_size(page) || examined == kMaxRowsExamined) {
      answer.next = write_cursor('e', {last});
      break;
    }
    ++examined;
    const Time created_at = row.time(kCreatedAtOfEventRow);
    if (is_too_old(filter.since, created_at)) break;
    last = row.integer(0);
    if ((filter.tenant && row.view(2) != *filter.tenant) || (filter.type && row.view(3) != *filter.type))
      continue;
    if (in_time(filter.since, filter.until, created_at)) answer.rows.push_back(read_event_row(row));
  }
  return answer;
}

// First the deliveries that may be attempted, in the order of sending, then the blocked ones.
Result<Rows<DeliveryRow>> Reader::pending_of_endpoint(const DeliveryFilter& filter, EndpointSeq endpoint,
                                                      const Page& page, const OperatorBatch* batch) {
  DeliveryScan scan(*this, filter, endpoint, page_size(page), 'w', batch);
  std::optional<PlaceInOrder> place;
  if (page.after.starts_with(PlaceInOrder::kList)) {
    auto read = read_place_in_order(page.after);
    if (!read) return tl::unexpected(read.error());
    place = std::move(*read);
  } else {
    const auto start = read_cursor(page.after, 'w', {kHighestPriority, 0, 0});
    if (!start) return tl::unexpected(start.error());
    const auto key = [](const Cursor& r) { return CursorKey{r.integer(6), r.integer(5), r.integer(0)}; };
    std::int64_t due_at = page.after.empty() ? -1 : start->at(1), event = start->at(2);
    for (auto priority = std::min(start->at(0), kHighestPriority); priority >= 0 && !scan.done();
         --priority) {
      Cursor row(pending_of_endpoint_from_, endpoint, priority, due_at, event, scan.rows_left() + 1);
      scan.read(row, false, key);
      due_at = event = -1;
    }
  }
  const PlaceInOrder from = place.value_or(PlaceInOrder{});
  Cursor row(in_order_of_endpoint_from_, endpoint, from.sequence_key, from.event, scan.rows_left() + 1);
  scan.read_blocked(row, place);
  return std::move(scan.rows);
}

// Reads the narrowest range that an index has for this filter.
Result<Rows<DeliveryRow>> Reader::deliveries(const DeliveryFilter& filter, const Page& page) {
  const Snapshot snapshot(*this);
  const bool dead = filter.state == DeliveryState::kDead;
  const auto endpoint = filter.endpoint ? seq_of(*filter.endpoint) : std::nullopt;
  if (filter.state == DeliveryState::kPending && endpoint && !filter.event)
    return pending_of_endpoint(filter, *endpoint, page);
  const auto key = read_cursor(page.after, 'd', {kEnd, kEnd});
  if (!key) return tl::unexpected(key.error());
  if (filter.endpoint && !endpoint) return Rows<DeliveryRow>{};
  DeliveryScan scan(*this, filter, endpoint, page_size(page), 'd');
  const int limit = scan.rows_left() + 1;
  const auto by_key = [](const Cursor& row) { return CursorKey{row.integer(0), row.integer(1)}; };

  if (filter.event) {
    const auto event = seq_of(*filter.event);
    if (!event) return Rows<DeliveryRow>{};
    Cursor row(deliveries_of_event_, *event, key->at(1), limit);
    scan.read(row, true, by_key);
    return std::move(scan.rows);
  }
  const EventSeq before = page.after.empty() ? newest_before(filter.until) : key->at(0);
  if (dead && endpoint) {
    Cursor row(dead_of_endpoint_before_, *endpoint, before, limit);
    scan.read(row, true, by_key);
  } else {
    Cursor row(dead ? dead_before_ : deliveries_before_, before, page.after.empty() ? kEnd : key->at(1),
               limit);
    scan.read(row, true, by_key);
  }
  return std::move(scan.rows);
}

// Of a list these differ in the order (oldest first, because that is the order in which they are to be sent), and in what
// they leave out. A row that is still to be acted upon never moves to a place that was passed: events and endpoints do not
// change; a pending one's due time only grows while its state stays (kMovePending); and those in order, which may be promoted
// to a place that was passed, come once more at the end, in an order that does not change.
Result<Rows<DeliveryRow>> Reader::batch_deliveries(const OperatorBatch& batch, const Page& page) {
  const Snapshot snapshot(*this);
  const DeliveryFilter& filter = batch.filter;
  const bool dead = filter.state == DeliveryState::kDead;
  const auto endpoint = filter.endpoint ? seq_of(*filter.endpoint) : std::nullopt;
  if (filter.state == DeliveryState::kPending && endpoint && !filter.event)
    return pending_of_endpoint(filter, *endpoint, page, &batch);
  const auto event = filter.event ? seq_of(*filter.event) : std::nullopt;
  if ((filter.endpoint && !endpoint) || (filter.event && !event)) return Rows<DeliveryRow>{};
  const auto key = read_cursor(page.after, 'b', {event ? *event : oldest_since(filter.since) + 1, 0});
  if (!key) return tl::unexpected(key.error());
  const EventSeq last = event ? *event : std::min(batch.last_event, newest_before(filter.until));
  DeliveryScan scan(*this, filter, endpoint, page_size(page), 'b', &batch);
  const int limit = scan.rows_left() + 1;
  const auto by_key = [](const Cursor& row) { return CursorKey{row.integer(0), row.integer(1)}; };
  if (dead && endpoint && !event) {
    // Its event is done, unless this is the start.
    Cursor row(dead_of_endpoint_after_, *endpoint, page.after.empty() ? key->at(0) - 1 : key->at(0), last,
               limit);
    scan.read(row, false, by_key);
  } else {
    Cursor row(dead ? dead_after_ : deliveries_after_, key->at(0), key->at(1), last, limit);
    scan.read(row, false, by_key);
  }
  return std::move(scan.rows);
}

Result<Rows<OutboxRow>> Reader::rejected_outbox(const Page& page) {
  const Snapshot snapshot(*this);
  const auto key = read_cursor(page.after, 'r', {kEnd});
  if (!key) return tl::unexpected(key.error());
  Rows<OutboxRow> answer;
  const std::size_t limit = page_size(page);
  Cursor row(outbox_rejected_, key->at(0), static_cast<std::int64_t>(limit + 1));
  while (row.next()) {
    if (answer.rows.size() == limit) {
      answer.next = write_cursor('r', {answer.rows.back().row});
      break;
    }
    answer.rows.push_back(read_outbox_row(row));
  }
  return answer;
}

}  // namespace outboxd::sqlite
