#include "store/sqlite/batch_rows.h"

#include "store/sqlite/rows.h"

namespace outboxd::sqlite {
namespace {

template <class T>
T known(std::optional<T> value, const char* column) {
  if (!value) throw CorruptValue(std::string("unknown value in column batch.") + column);
  return std::move(*value);
}

}  // namespace

OperatorBatch read_batch(const Cursor& row) {
  OperatorBatch batch;
  batch.number = row.integer(0);
  batch.id = BatchId{read_uuid(row.view(1))};
  batch.action = known(parse_batch_action(row.view(2)), "action");
  batch.filter = known(decode_filter(row.view(3)), "filter");
  batch.rate = known(parse_rate_limit(row.view(4)), "rate");
  batch.reason = row.text(5);
  batch.who = row.text(6);
  batch.state = known(parse_batch_state(row.view(7)), "state");
  batch.matched = row.integer(8);
  batch.counted = row.integer(9) != 0;
  batch.done = row.integer(10);
  batch.skipped = row.integer(11);
  batch.last_event = row.integer(12);
  batch.last_endpoint = row.integer(13);
  batch.place = row.text(14);
  batch.created_at = row.time(15);
  batch.finished_at = row.optional_time(16);
  return batch;
}

}  // namespace outboxd::sqlite
