#include "store/postgresql/reader_deliveries.h"

#include <algorithm>

namespace outboxd::postgresql {
namespace {

constexpr int kMaxRowsExamined = 20'000;
constexpr int kMaxRowsOfBatch = 4000;  // its steps share a thread with others
constexpr int kMaxChunk = 4000;

template <class T>
bool fits(const std::optional<T>& wanted, std::string_view word) {
  return !wanted || word == to_string(*wanted);
}

}  // namespace

int Reader::DeliveryScan::rows_left() const {
  return (batch_ ? kMaxRowsOfBatch : kMaxRowsExamined) - examined_;
}

int Reader::DeliveryScan::next_chunk() {
  const int chunk = std::min({chunk_, kMaxChunk, rows_left() + 1});
  chunk_ = std::min(chunk_ * 4, kMaxChunk);
  return chunk;
}

bool Reader::DeliveryScan::read_blocked(Cursor row, int chunk, std::optional<PlaceInOrder>& previous) {
  const auto cursor = [&] { return previous ? write_cursor(*previous) : write_cursor(list_, last_); };
  const std::vector<bool> matching = judge(row);
  for (std::size_t i = 0; row.next(); ++i) {
    const bool wanted = row.number(kBlocked) != 0 || may_have_been_passed(row);
    if ((wanted || rows_left() <= 0) && is_full(cursor)) return false;
    ++examined_;
    previous = PlaceInOrder{row.text(kSequenceKey), row.integer(0)};
    if (wanted && matching[i]) rows.rows.push_back(read_delivery_row(row, ahead_));
  }
  return row.size() == chunk;
}

// Not blocked, and not on this page either.
bool Reader::DeliveryScan::may_have_been_passed(const Cursor& row) const {
  if (batch_ == nullptr || batch_->number == kOnlyCounts) return false;
  const DeliveryKey key{row.integer(0), row.integer(1)};
  return std::ranges::none_of(rows.rows, [&](const DeliveryRow& one) { return one.delivery.key == key; });
}

bool Reader::DeliveryScan::matches(const Cursor& row) const {
  if (row.is_null(kEventId) || row.is_null(kEndpointId)) return false;
  if (endpoint_ && row.integer(1) != *endpoint_) return false;
  if (!fits(filter_.state, row.view(kState)) || !fits(filter_.reason, row.view(kReason))) return false;
  if (batch_ &&
      (row.integer(kAfterBatch) >= batch_->number || !may_act(batch_->action, read_state(row.view(kState)))))
    return false;
  if (filter_.type && row.view(kType) != *filter_.type) return false;
  if (filter_.tenant && row.view(kTenant) != *filter_.tenant) return false;
  return in_time(filter_.since, filter_.until, row.time(kCreatedAt));
}

// Attempts go on while a batch is under way: of a pending delivery, what counts is the last one before it was made.
bool Reader::DeliveryScan::is_of_then(const Cursor& row) const {
  return batch_ != nullptr && row.view(kState) == to_string(DeliveryState::kPending);
}

// `last`: the outcome and status of the last attempt that counts, or nothing.
bool Reader::DeliveryScan::last_failed_so(const Cursor& row, const Cursor& last) const {
  auto error = row.optional_text(kError);
  if (is_of_then(row))
    error = last.view(0) != to_string(Outcome::kSuccess) ? last.optional_text(0) : std::nullopt;
  if (filter_.status && last.integer(1) != *filter_.status) return false;
  return !filter_.error || (error && (*filter_.error == "any" || *error == *filter_.error));
}

std::vector<bool> Reader::DeliveryScan::judge(Cursor row) const {
  std::vector<bool> matching(static_cast<std::size_t>(row.size()));
  std::vector<std::int64_t> events, endpoints, days, batches;
  const bool by_attempt = filter_.error.has_value() || filter_.status.has_value();
  Cursor again = row;
  for (std::size_t i = 0; row.next(); ++i) {
    matching[i] = matches(row);
    if (!by_attempt || !matching[i]) continue;
    events.push_back(row.integer(0));
    endpoints.push_back(row.integer(1));
    days.push_back(row.integer(kDay));
    batches.push_back(is_of_then(row) ? batch_->number : kEnd);
  }
  if (events.empty()) return matching;
  Cursor last(session_.last_attempts, events, endpoints, days, batches);
  for (std::size_t i = 0; again.next(); ++i) {
    if (matching[i]) matching[i] = last.next() && last_failed_so(again, last);
  }
  return matching;
}

}  // namespace outboxd::postgresql
