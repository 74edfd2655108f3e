// The lists that people ask for, and what batches act upon: keyset pages, each examining a bounded number of rows, window
// by window (list_statements.h).
#include <algorithm>

#include "store/endpoint_columns.h"
#include "store/postgresql/reader_deliveries.h"
#include "store/postgresql/reader_session.h"
#include "store/rows.h"

namespace outboxd::postgresql {
namespace {

constexpr int kMaxRowsExamined = 20'000;
constexpr std::int64_t kHighestPriority = 9;

CursorKey by_key(const Cursor& row) {
  return {row.integer(0), row.integer(1)};
}

}  // namespace

std::optional<Reader::EventPlace> Reader::place_of(Session& session, const EventId& id) {
  const std::int64_t day = day_of(id.uuid);
  Cursor row(session.event_seq_by_id, id.uuid, day, day + kKeptDays);
  if (!row.next()) return std::nullopt;
  return EventPlace{row.integer(0), row.integer(1)};
}

std::optional<EndpointSeq> Reader::seq_of(Session& session, const EndpointId& id) {
  Cursor row(session.endpoint_seq_by_id, id.uuid);
  if (!row.next()) return std::nullopt;
  return row.integer(0);
}

// A number above that of every event created before `until`, found by id because ids begin with their time.
EventSeq Reader::newest_before(Session& session, const std::optional<Time>& until) {
  if (!until) return kEnd;
  const Uuid id = first_id_of(*until + kClockSlack);
  Cursor last(session.last_event_before_id, day_of(id), id);
  if (last.next()) return last.integer(0) + 1;
  Cursor around(session.numbers_around_day, day_of(id));
  return around.next() ? around.integer(0) : 0;
}

// The other end: every event that was created since then has a higher number.
EventSeq Reader::oldest_since(Session& session, const std::optional<Time>& since) {
  if (!since) return 0;
  const Uuid id = first_id_of(*since - kClockSlack);
  Cursor last(session.last_event_before_id, day_of(id), id);
  if (last.next()) return last.integer(0);
  Cursor around(session.numbers_around_day, day_of(id));
  return around.next() ? std::max<EventSeq>(around.integer(1) - 1, 0) : 0;
}

Reader::Window Reader::window_below(Session& session, EventSeq before, std::int64_t size) {
  Cursor row(session.window_below, before, size);
  if (!row.next() || row.is_null(0)) return {};
  const bool more = row.number(3) != 0;
  return {.end = more ? row.integer(0) : 0,
          .first_day = row.integer(1),
          .last_day = row.is_null(2) ? -1 : row.integer(2),
          .more = more};
}

Reader::Window Reader::window_above(Session& session, EventSeq from, std::int64_t size) {
  Cursor row(session.window_above, from, size);
  if (!row.next() || row.is_null(0)) return {.end = kEnd, .first_day = 0, .last_day = -1, .more = false};
  const bool more = row.number(3) != 0;
  return {.end = more ? row.integer(0) : kEnd,
          .first_day = row.integer(1),
          .last_day = row.is_null(2) ? -1 : row.integer(2),
          .more = more};
}

// Reads from `from` (which is not in it) down, until the page is full or there is nothing more.
void Reader::scan_down(Session& session, DeliveryScan& scan, Statement& statement, DeliveryKey from,
                       bool of_endpoint) {
  const EndpointSeq endpoint = from.endpoint;
  // With an endpoint of its own the event of `from` is behind us, else there may be more of it.
  EventSeq top = of_endpoint || from.endpoint <= 0 || from.event == kEnd ? from.event : from.event + 1;
  for (std::int64_t size = kFirstWindow;; size *= kWindowGrowth) {
    const Window window = window_below(session, top, size);
    for (bool more = true; more;) {
      const int chunk = scan.next_chunk();
      more = scan.read(
          Cursor(statement, from.event, from.endpoint, window.end, window.first_day, window.last_day, chunk),
          chunk, true, by_key);
      if (more) from = {scan.last().at(0), of_endpoint ? endpoint : scan.last().at(1)};
    }
    if (scan.done() || !window.more) return;
    top = window.end;
    from = {top, of_endpoint ? endpoint : 0};
  }
}

// The same from `from` up to event `end` (which is not in it).
void Reader::scan_up(Session& session, DeliveryScan& scan, Statement& statement, DeliveryKey from,
                     EventSeq end, bool of_endpoint) {
  const EndpointSeq endpoint = from.endpoint;
  EventSeq bottom = std::max<EventSeq>(from.event, 0);
  for (std::int64_t size = kFirstWindow; bottom < end; size *= kWindowGrowth) {
    const Window window = window_above(session, bottom, size);
    const EventSeq below = std::min(end, window.end);
    for (bool more = true; more;) {
      const int chunk = scan.next_chunk();
      more = scan.read(
          Cursor(statement, from.event, from.endpoint, below, window.first_day, window.last_day, chunk),
          chunk, false, by_key);
      if (more) from = {scan.last().at(0), of_endpoint ? endpoint : scan.last().at(1)};
    }
    if (scan.done() || !window.more) return;
    bottom = window.end;
    from = {bottom - 1, of_endpoint ? endpoint : kEnd};
  }
}

Result<Rows<Endpoint>> Reader::endpoints(const std::optional<std::string>& tenant, const Page& page) {
  const auto key = read_cursor(page.after, 'p', {0});
  if (!key) return tl::unexpected(key.error());
  if (tenant && !is_storable(*tenant)) return Rows<Endpoint>{};
  return read([&](Session& session) -> Result<Rows<Endpoint>> {
    Rows<Endpoint> answer;
    const std::size_t limit = page_size(page);
    const auto wanted = static_cast<std::int64_t>(limit + 1);
    Cursor row = tenant ? Cursor(session.endpoints_of_tenant_after, key->at(0), wanted, *tenant)
                        : Cursor(session.endpoints_after, key->at(0), wanted);
    answer.rows.reserve(std::min(limit, static_cast<std::size_t>(row.size())));
    while (row.next()) {
      if (answer.rows.size() == limit) {
        answer.next = write_cursor('p', {answer.rows.back().seq});
        break;
      }
      answer.rows.push_back(read_endpoint(row, options_.secrets.get()));
    }
    return answer;
  });
}

Result<Rows<EventRow>> Reader::events(const EventFilter& filter, const Page& page) {
  const auto key = read_cursor(page.after, 'e', {kEnd});
  if (!key) return tl::unexpected(key.error());
  return read([&](Session& session) -> Result<Rows<EventRow>> {
    Rows<EventRow> answer;
    EventSeq last = page.after.empty() ? newest_before(session, filter.until) : key->at(0);
    int examined = 0, chunk = static_cast<int>(page_size(page)) + 1;
    Statement& statement = filter.unmatched ? session.unmatched_before : session.events_before;
    for (std::int64_t size = kFirstWindow;; size *= kWindowGrowth) {
      const Window window = window_below(session, last, size);
      for (bool more = true; more; chunk = std::min(chunk * 4, kMaxRowsExamined)) {
        Cursor row(statement, last, window.end, window.first_day, window.last_day, chunk);
        more = row.size() == chunk;
        while (row.next()) {
          if (answer.rows.size() == page_size(page) || examined == kMaxRowsExamined) {
            answer.next = write_cursor('e', {last});
            return answer;
          }
          ++examined;
          const Time created_at = row.time(kCreatedAtOfEventRow);
          if (is_too_old(filter.since, created_at)) return answer;
          last = row.integer(0);
          if ((filter.tenant && row.view(2) != *filter.tenant) ||
              (filter.type && row.view(3) != *filter.type))
            continue;
          if (in_time(filter.since, filter.until, created_at)) answer.rows.push_back(read_event_row(row));
        }
      }
      if (!window.more) return answer;
      last = window.end;
    }
  });
}

// First the deliveries that may be attempted, in the order of sending, then the blocked ones.
Result<Rows<DeliveryRow>> Reader::pending_of_endpoint(Session& session, const DeliveryFilter& filter,
                                                      EndpointSeq endpoint, const Page& page,
                                                      const OperatorBatch* batch) {
  DeliveryScan scan(session, ahead(session), filter, endpoint, page_size(page), 'w', batch);
  std::optional<PlaceInOrder> place;
  if (page.after.starts_with(PlaceInOrder::kList)) {
    auto read = read_place_in_order(page.after);
    if (!read || !is_storable(read->sequence_key)) return foreign_cursor();
    place = std::move(*read);
  } else {
    const auto start = read_cursor(page.after, 'w', {kHighestPriority, 0, 0});
    if (!start) return tl::unexpected(start.error());
    const auto key = [](const Cursor& r) { return CursorKey{r.integer(6), r.integer(5), r.integer(0)}; };
    CursorKey from{std::min(start->at(0), kHighestPriority), page.after.empty() ? -1 : start->at(1),
                   start->at(2)};
    for (bool more = true; more;) {
      const int chunk = scan.next_chunk();
      more = scan.read(Cursor(session.pending_of_endpoint_from, endpoint, from[0], from[1], from[2], chunk),
                       chunk, false, key);
      if (more) from = scan.last();
    }
  }
  for (bool more = !scan.done(); more;) {
    const PlaceInOrder from = place.value_or(PlaceInOrder{});
    const int chunk = scan.next_chunk();
    more = scan.read_blocked(
        Cursor(session.in_order_of_endpoint_from, endpoint, from.sequence_key, from.event, chunk), chunk,
        place);
  }
  return std::move(scan.rows);
}

// Reads the narrowest range that an index has for this filter.
Result<Rows<DeliveryRow>> Reader::deliveries(const DeliveryFilter& filter, const Page& page) {
  return read([&](Session& session) -> Result<Rows<DeliveryRow>> {
    const bool dead = filter.state == DeliveryState::kDead;
    const auto endpoint = filter.endpoint ? seq_of(session, *filter.endpoint) : std::nullopt;
    if (filter.state == DeliveryState::kPending && endpoint && !filter.event)
      return pending_of_endpoint(session, filter, *endpoint, page, nullptr);
    const auto key = read_cursor(page.after, 'd', {kEnd, kEnd});
    if (!key) return tl::unexpected(key.error());
    if (filter.endpoint && !endpoint) return Rows<DeliveryRow>{};
    DeliveryScan scan(session, ahead(session), filter, endpoint, page_size(page), 'd');
    if (filter.event) {
      const auto event = place_of(session, *filter.event);
      if (!event) return Rows<DeliveryRow>{};
      EndpointSeq below = key->at(1);
      for (bool more = true; more;) {
        const int chunk = scan.next_chunk();
        more = scan.read(Cursor(session.deliveries_of_event, event->seq, below, chunk, event->day), chunk,
                         true, by_key);
        if (more) below = scan.last().at(1);
      }
      return std::move(scan.rows);
    }
    const EventSeq before = page.after.empty() ? newest_before(session, filter.until) : key->at(0);
    if (dead && endpoint) {
      scan_down(session, scan, session.dead_of_endpoint_before, {before, *endpoint}, true);
    } else {
      scan_down(session, scan, session.range_before(filter.state),
                {before, page.after.empty() ? kEnd : key->at(1)}, false);
    }
    return std::move(scan.rows);
  });
}

// Of a list these differ in the order (oldest first, because that is the order in which they are to be sent), and in what
// they leave out. A row that is still to be acted upon never moves to a place that was passed: events and endpoints do not
// change; a pending one's due time only grows while its state stays; and those in order, which may be promoted to a place
// that was passed, come once more at the end, in an order that does not change.
Result<Rows<DeliveryRow>> Reader::batch_deliveries(const OperatorBatch& batch, const Page& page) {
  return read([&](Session& session) -> Result<Rows<DeliveryRow>> {
    const DeliveryFilter& filter = batch.filter;
    const bool dead = filter.state == DeliveryState::kDead;
    const auto endpoint = filter.endpoint ? seq_of(session, *filter.endpoint) : std::nullopt;
    if (filter.state == DeliveryState::kPending && endpoint && !filter.event)
      return pending_of_endpoint(session, filter, *endpoint, page, &batch);
    const auto event = filter.event ? place_of(session, *filter.event) : std::nullopt;
    if ((filter.endpoint && !endpoint) || (filter.event && !event)) return Rows<DeliveryRow>{};
    const auto key =
        read_cursor(page.after, 'b', {event ? event->seq : oldest_since(session, filter.since) + 1, 0});
    if (!key) return tl::unexpected(key.error());
    const EventSeq last =
        event ? event->seq : std::min(batch.last_event, newest_before(session, filter.until) - 1);
    const EventSeq end = last == kEnd ? kEnd : last + 1;
    DeliveryScan scan(session, ahead(session), filter, endpoint, page_size(page), 'b', &batch);
    if (dead && endpoint && !event) {
      // Its event is done, unless this is the start.
      scan_up(session, scan, session.dead_of_endpoint_after,
              {page.after.empty() ? key->at(0) - 1 : key->at(0), *endpoint}, end, true);
    } else {
      scan_up(session, scan, session.range_after(filter.state), {key->at(0), key->at(1)}, end, false);
    }
    return std::move(scan.rows);
  });
}

}  // namespace outboxd::postgresql
