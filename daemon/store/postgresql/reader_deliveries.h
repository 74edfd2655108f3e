// One page of deliveries, whatever range they are read from; for the reader's own files. Filters that no index serves are
// applied here, row by row, so that the statements stay few and fixed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/operator_batch.h"
#include "store/postgresql/reader_session.h"
#include "store/rows.h"

namespace outboxd::postgresql {

// Events are numbered about in the order of their times: but for transactions that overlap, and clocks of daemons that
// differ. Lists bounded in time look this much further.
inline constexpr Millis kClockSlack = std::chrono::minutes(1);

inline bool in_time(const std::optional<Time>& since, const std::optional<Time>& until, Time t) {
  return (!since || t >= *since) && (!until || t < *until);
}
inline bool is_too_old(const std::optional<Time>& since, Time t) {
  return since && t < *since - kClockSlack;
}

class Reader::DeliveryScan {
 public:
  // `batch`: only what it has still to act upon.
  DeliveryScan(Session& session, Millis ahead, const DeliveryFilter& filter,
               std::optional<EndpointSeq> endpoint, std::size_t limit, char list,
               const OperatorBatch* batch = nullptr)
      : session_(session),
        ahead_(ahead),
        filter_(filter),
        endpoint_(endpoint),
        limit_(limit),
        list_(list),
        batch_(batch),
        chunk_(static_cast<int>(limit) + 1) {}

  bool done() const { return done_; }
  // How many rows to read at once: at first what fills the page if all match, then more and more.
  int next_chunk();
  // `row` holds a chunk of the range. `make_key` gives the key of a row, for the cursor; `newest_first` allows stopping at
  // the first event that is too old. False: there is no reason to read on, be it that the page is full or the range ends.
  template <class MakeKey>
  bool read(Cursor row, int chunk, bool newest_first, MakeKey make_key);
  // Of deliveries in order, takes only the blocked ones, because it comes after the others. A batch that acts takes the
  // rest too, because one that is promoted meanwhile may have its place before that of the batch. `previous`: the place of
  // the row before, and then of the last one; absent if that row was not one in order.
  bool read_blocked(Cursor row, int chunk, std::optional<PlaceInOrder>& previous);

  const CursorKey& last() const { return last_; }
  Rows<DeliveryRow> rows;

 private:
  // Columns of a row: those of read_delivery_row, and these.
  static constexpr int kState = 2, kReason = 3, kError = 7, kEventId = 10, kEndpointId = 11, kType = 12,
                       kTenant = 13, kCreatedAt = 14, kSequenceKey = 15, kBlocked = 16, kAfterBatch = 17,
                       kDay = 18;

  int rows_left() const;
  bool may_have_been_passed(const Cursor& row) const;
  template <class MakeCursor>
  bool is_full(MakeCursor make_cursor);
  bool matches(const Cursor& row) const;
  bool is_of_then(const Cursor& row) const;
  bool last_failed_so(const Cursor& row, const Cursor& last) const;
  // Which rows match, the last attempts included.
  std::vector<bool> judge(Cursor row) const;

  Session& session_;
  const Millis ahead_;
  const DeliveryFilter& filter_;
  const std::optional<EndpointSeq> endpoint_;
  const std::size_t limit_;
  const char list_;
  const OperatorBatch* const batch_;
  int chunk_;
  CursorKey last_;
  int examined_ = 0;
  bool done_ = false;
};

template <class MakeKey>
bool Reader::DeliveryScan::read(Cursor row, int chunk, bool newest_first, MakeKey make_key) {
  const std::vector<bool> matching = judge(row);
  for (std::size_t i = 0; row.next(); ++i) {
    if (is_full([this] { return write_cursor(list_, last_); })) return false;
    ++examined_;
    if (newest_first && !row.is_null(kCreatedAt) && is_too_old(filter_.since, row.time(kCreatedAt))) {
      done_ = true;
      return false;
    }
    last_ = make_key(row);
    if (matching[i]) rows.rows.push_back(read_delivery_row(row, ahead_));
  }
  return row.size() == chunk;
}

template <class MakeCursor>
bool Reader::DeliveryScan::is_full(MakeCursor make_cursor) {
  if (rows.rows.size() < limit_ && rows_left() > 0) return false;
  rows.next = make_cursor();
  done_ = true;
  return true;
}

}  // namespace outboxd::postgresql
