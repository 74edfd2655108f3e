// The SQL outbox. Rows come and go at its beginning, so it is read from a low-water mark on (due_marks.h says why). Numbers
// are not in the order of the commits: the mark lags by the longest transaction of a producer, and is left aside for a full
// look now and then.
#include <algorithm>

#include "store/postgresql/reader_session.h"

namespace outboxd::postgresql {
namespace {

constexpr Millis kLongestProducer = std::chrono::seconds(10), kFullLook = std::chrono::minutes(1);

OutboxRow read_outbox_row(const Cursor& row) {
  OutboxRow o;
  o.row = row.integer(0);
  o.type = row.text(1);
  o.payload = row.text(2);
  o.payload_is_text = row.number(3) != 0;
  o.tenant = row.optional_text(4);
  o.content_type = row.optional_text(5);
  o.ordering_key = row.optional_text(6);
  o.idempotency_key = row.optional_text(7);
  o.headers = row.optional_text(8);
  o.deliver_at = row.optional_text(9);
  o.expires_at = row.optional_text(10);
  o.traceparent = row.optional_text(11);
  o.priority = row.optional_integer(12);
  o.rejected = row.optional_text(13);
  o.rejected_at = row.optional_time(14);
  return o;
}

}  // namespace

std::vector<OutboxRow> Reader::outbox(int limit, std::size_t max_bytes) {
  return read([&](Session& session) {
    const Millis now = steady_now();
    const bool full = !session.outbox_full_look || now - *session.outbox_full_look >= kFullLook;
    const auto bound = static_cast<std::int64_t>(std::min(max_bytes, std::size_t{1} << 40));
    Cursor row(session.outbox_waiting, full ? 0 : session.outbox_mark, limit, bound);
    // Somebody has told of rows: if they are not behind the mark, an operator has put them back.
    if (row.size() == 0 && !full) row = Cursor(session.outbox_waiting, 0, limit, bound);
    std::vector<OutboxRow> rows;
    rows.reserve(static_cast<std::size_t>(row.size()));
    while (row.next()) rows.push_back(read_outbox_row(row));
    if (full) session.outbox_full_look = now;
    // What is the first now may be the mark when every transaction has ended that drew its number before.
    if (!session.outbox_marked_at || now - *session.outbox_marked_at >= kLongestProducer) {
      session.outbox_mark = session.next_outbox_mark;
      if (!rows.empty()) session.next_outbox_mark = rows.front().row;
      session.outbox_marked_at = now;
    }
    return rows;
  });
}

Result<Rows<OutboxRow>> Reader::rejected_outbox(const Page& page) {
  const auto key = read_cursor(page.after, 'r', {kEnd});
  if (!key) return tl::unexpected(key.error());
  return read([&](Session& session) -> Result<Rows<OutboxRow>> {
    Rows<OutboxRow> answer;
    const std::size_t limit = page_size(page);
    Cursor row(session.outbox_rejected_before, key->at(0), static_cast<std::int64_t>(limit + 1));
    answer.rows.reserve(std::min(limit, static_cast<std::size_t>(row.size())));
    while (row.next()) {
      if (answer.rows.size() == limit) {
        answer.next = write_cursor('r', {answer.rows.back().row});
        break;
      }
      answer.rows.push_back(read_outbox_row(row));
    }
    return answer;
  });
}

std::optional<OutboxRow> Reader::rejected_row(std::int64_t number) {
  return read([&](Session& session) -> std::optional<OutboxRow> {
    Cursor row(session.outbox_rejected_row, number);
    if (!row.next()) return std::nullopt;
    return read_outbox_row(row);
  });
}

}  // namespace outboxd::postgresql
