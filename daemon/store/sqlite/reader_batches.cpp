// What is read for batches: the batches themselves, and the events of a replay. (Their deliveries: reader_lists.cpp.)
#include <algorithm>
#include <limits>

#include "store/list_cursor.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/snapshot.h"

namespace outboxd::sqlite {
namespace {

constexpr int kMaxPage = 1000;
constexpr char kList = 'n';  // its cursors: list_cursor.h

}  // namespace

std::optional<OperatorBatch> Reader::batch(const BatchId& id) {
  const Snapshot snapshot(*this);
  Cursor row(batch_by_id_, as_blob(id.uuid));
  if (!row.next()) return std::nullopt;
  return read_batch(row);
}

Result<Rows<OperatorBatch>> Reader::batches(const Page& page) {
  const Snapshot snapshot(*this);
  const auto key = read_cursor(page.after, kList, {std::numeric_limits<std::int64_t>::max()});
  if (!key) return tl::unexpected(key.error());
  const auto limit = static_cast<std::size_t>(std::clamp(page.limit, 1, kMaxPage));
  Rows<OperatorBatch> answer;
  Cursor row(batches_before_, key->at(0), static_cast<std::int64_t>(limit + 1));
  while (row.next()) {
    if (answer.rows.size() == limit) {
      answer.next = write_cursor(kList, {answer.rows.back().number});
      break;
    }
    answer.rows.push_back(read_batch(row));
  }
  return answer;
}

std::vector<OperatorBatch> Reader::running_batches() {
  const Snapshot snapshot(*this);
  std::vector<OperatorBatch> running;
  Cursor row(running_batches_, 0, kMaxRunningBatches);
  while (row.next()) running.push_back(read_batch(row));
  return running;
}

BatchEvents Reader::batch_events(const OperatorBatch& batch, EventSeq from, int limit) {
  const Snapshot snapshot(*this);
  const DeliveryFilter& filter = batch.filter;
  const auto endpoint = filter.endpoint ? seq_of(*filter.endpoint) : std::nullopt;
  const auto event = filter.event ? seq_of(*filter.event) : std::nullopt;
  if ((filter.endpoint && !endpoint) || (filter.event && !event)) return {};
  const EventSeq first = event ? *event : oldest_since(filter.since) + 1;
  const EventSeq last = event ? *event : std::min(batch.last_event, newest_before(filter.until));
  BatchEvents answer;
  int examined = 0;
  Cursor row(events_to_replay_, std::max(from, first), last, endpoint.value_or(0), limit + 1);
  while (row.next()) {
    if (examined++ == limit) {
      answer.next = row.integer(0);
      break;
    }
    BatchEvent found;
    found.seq = row.integer(0);
    found.tenant = row.text(1);
    found.type = row.text(2);
    found.created_at = row.time(3);
    if ((filter.tenant && found.tenant != *filter.tenant) || (filter.type && found.type != *filter.type))
      continue;
    if ((filter.since && found.created_at < *filter.since) ||
        (filter.until && found.created_at >= *filter.until))
      continue;
    if (!row.is_null(4)) found.state = read_state(row.view(4));
    found.changed = row.integer(5) >= batch.number;
    found.was_delivered = row.integer(6) != 0;
    found.id = EventId{read_uuid(row.view(7))};
    answer.events.push_back(std::move(found));
  }
  return answer;
}

}  // namespace outboxd::sqlite
