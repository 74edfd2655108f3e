#include "store/postgresql/batch_writer.h"

#include <string>
#include <string_view>
#include <utility>

#include "store/rows.h"

namespace outboxd::postgresql {
namespace {

constexpr std::string_view kFind =
    "SELECT number, id, action, filter, rate, reason, who, state, matched, counted::integer, done, skipped,"
    " last_event, last_endpoint, place, created_at, finished_at FROM batch WHERE id = $1 FOR UPDATE";
constexpr std::string_view kRunning =
    "SELECT count(*) FROM (SELECT 1 FROM batch WHERE state = 'running' ORDER BY number LIMIT $1) AS chosen";
constexpr std::string_view kNewest =
    "SELECT coalesce(pg_sequence_last_value('event_seq'), 0),"
    " coalesce(pg_sequence_last_value('endpoint_seq'), 0)";
constexpr std::string_view kInsert =
    "INSERT INTO batch (number, id, action, filter, rate, reason, who, state, matched, counted, last_event,"
    " last_endpoint, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', $8, $9, $10, $11, $12)";
constexpr std::string_view kUpdate =
    "UPDATE batch SET state = $2, matched = $3, counted = $4, done = $5, skipped = $6, place = $7,"
    " finished_at = $8 WHERE number = $1";

}  // namespace

BatchWriter::BatchWriter(Connection& db, OperatorWriter& many)
    : operator_(many),
      find_(db, kFind),
      running_(db, kRunning),
      newest_(db, kNewest),
      insert_(db, kInsert),
      update_(db, kUpdate) {}

std::optional<OperatorBatch> BatchWriter::find(const BatchId& id) {
  Cursor row(find_, id.uuid);
  if (!row.next()) return std::nullopt;
  return read_batch(row);
}

OperatorBatchPtr BatchWriter::store(OperatorBatch batch, bool ended, Transaction& transaction) {
  update_.run(batch.number, to_string(batch.state), batch.matched, batch.counted, batch.done, batch.skipped,
              batch.place, millis(batch.finished_at));
  auto stored = std::make_shared<const OperatorBatch>(std::move(batch));
  if (ended) transaction.tell(BatchChanged{stored});
  return stored;
}

Result<OperatorBatchPtr> BatchWriter::execute(const CreateBatch& command, Transaction& transaction) {
  if (transaction.repeats()) {
    if (auto before = find(command.batch->id)) {
      auto stored = std::make_shared<const OperatorBatch>(std::move(*before));
      transaction.tell(BatchChanged{stored});
      return stored;
    }
  }
  {
    Cursor running(running_, kMaxRunningBatches);
    running.next();
    if (running.integer(0) == kMaxRunningBatches) return too_many_batches();
  }
  OperatorBatch batch = *command.batch;
  batch.number = transaction.batches() + 1;
  transaction.set_batches(batch.number);  // from here on, whatever changes its state is not this batch's
  Cursor newest(newest_);
  newest.next();
  batch.last_event = newest.integer(0);
  batch.last_endpoint = newest.integer(1);
  insert_.run(batch.number, batch.id.uuid, to_string(batch.action), encode_filter(batch.filter),
              to_string(batch.rate), batch.reason, batch.who, batch.matched, batch.counted, batch.last_event,
              batch.last_endpoint, millis(batch.created_at));
  auto stored = std::make_shared<const OperatorBatch>(std::move(batch));
  transaction.tell(BatchChanged{stored});
  return stored;
}

Result<OperatorBatchPtr> BatchWriter::execute(const StepBatch& command, Transaction& transaction) {
  auto batch = find(command.id);
  if (!batch) return missing("batch");
  const BatchStep& step = *command.step;
  if (batch->state != BatchState::kRunning || batch->place != step.from) {
    auto stored = std::make_shared<const OperatorBatch>(std::move(*batch));
    if (transaction.repeats()) {
      for (const DeliveryKey key : step.keys) operator_.tell_again(key, transaction);
      if (step.last && stored->state == BatchState::kFinished) transaction.tell(BatchChanged{stored});
    }
    return stored;
  }
  const std::int64_t done = operator_.act(*batch, step.keys, step.at, step.from.empty(), transaction);
  note_step(*batch, step, done);
  return store(std::move(*batch), step.last, transaction);
}

Result<OperatorBatchPtr> BatchWriter::execute(const CancelBatch& command, Transaction& transaction) {
  auto batch = find(command.id);
  if (!batch) return missing("batch");
  if (transaction.repeats() && batch->state == BatchState::kCancelled)
    return store(std::move(*batch), true, transaction);
  if (batch->state != BatchState::kRunning) return has_ended(batch->state);
  batch->state = BatchState::kCancelled;
  batch->finished_at = command.at;
  return store(std::move(*batch), true, transaction);
}

}  // namespace outboxd::postgresql
