// What is read for batches: the batches themselves, and the events of a replay. (Their deliveries: reader_lists.cpp.)
#include <algorithm>

#include "store/postgresql/reader_deliveries.h"
#include "store/postgresql/reader_session.h"
#include "store/rows.h"

namespace outboxd::postgresql {
namespace {

constexpr char kList = 'n';  // its cursors: list_cursor.h

BatchEvent read_event_to_replay(const Cursor& row, const OperatorBatch& batch) {
  BatchEvent found;
  found.seq = row.integer(0);
  found.tenant = row.text(1);
  found.type = row.text(2);
  found.created_at = row.time(3);
  if (!row.is_null(4)) found.state = read_state(row.view(4));
  found.changed = row.integer(5) >= batch.number;
  found.was_delivered = row.number(6) != 0;
  found.id = EventId{row.uuid(7)};
  return found;
}

bool matches(const DeliveryFilter& filter, const BatchEvent& event) {
  if (filter.tenant && event.tenant != *filter.tenant) return false;
  if (filter.type && event.type != *filter.type) return false;
  return in_time(filter.since, filter.until, event.created_at);
}

}  // namespace

std::optional<OperatorBatch> Reader::batch(const BatchId& id) {
  return read([&](Session& session) -> std::optional<OperatorBatch> {
    Cursor row(session.batch, id.uuid);
    if (!row.next()) return std::nullopt;
    return read_batch(row);
  });
}

Result<Rows<OperatorBatch>> Reader::batches(const Page& page) {
  const auto key = read_cursor(page.after, kList, {kEnd});
  if (!key) return tl::unexpected(key.error());
  return read([&](Session& session) -> Result<Rows<OperatorBatch>> {
    Rows<OperatorBatch> answer;
    const std::size_t limit = page_size(page);
    Cursor row(session.batches_before, key->at(0), static_cast<std::int64_t>(limit + 1));
    answer.rows.reserve(std::min(limit, static_cast<std::size_t>(row.size())));
    while (row.next()) {
      if (answer.rows.size() == limit) {
        answer.next = write_cursor(kList, {answer.rows.back().number});
        break;
      }
      answer.rows.push_back(read_batch(row));
    }
    return answer;
  });
}

std::vector<OperatorBatch> Reader::running_batches() {
  return read([&](Session& session) {
    std::vector<OperatorBatch> running;
    Cursor row(session.batches_running, kMaxRunningBatches);
    running.reserve(static_cast<std::size_t>(row.size()));
    while (row.next()) running.push_back(read_batch(row));
    return running;
  });
}

BatchEvents Reader::batch_events(const OperatorBatch& batch, EventSeq from, int limit) {
  return read([&](Session& session) {
    BatchEvents answer;
    const DeliveryFilter& filter = batch.filter;
    const auto endpoint = filter.endpoint ? seq_of(session, *filter.endpoint) : std::nullopt;
    const auto event = filter.event ? place_of(session, *filter.event) : std::nullopt;
    if ((filter.endpoint && !endpoint) || (filter.event && !event)) return answer;
    const EventSeq first = event ? event->seq : oldest_since(session, filter.since) + 1;
    const EventSeq last =
        event ? event->seq : std::min(batch.last_event, newest_before(session, filter.until) - 1);
    const EventSeq end = last == kEnd ? kEnd : last + 1;
    EventSeq bottom = std::max(from, first);
    int left = limit;
    for (std::int64_t size = kFirstWindow; bottom < end; size *= kWindowGrowth) {
      const Window window = window_above(session, bottom, size);
      Cursor row(session.events_to_replay, bottom, std::min(end, window.end), window.first_day,
                 window.last_day, left + 1, endpoint.value_or(0));
      while (row.next()) {
        if (left-- == 0) {
          answer.next = row.integer(0);
          return answer;
        }
        BatchEvent found = read_event_to_replay(row, batch);
        if (matches(filter, found)) answer.events.push_back(std::move(found));
      }
      if (!window.more) break;
      bottom = window.end;
    }
    return answer;
  });
}

}  // namespace outboxd::postgresql
