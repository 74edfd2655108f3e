#include "store/sqlite/batch_writer.h"

#include <utility>

#include "store/sqlite/rows.h"

namespace outboxd::sqlite {

std::optional<OperatorBatch> BatchWriter::find(const BatchId& id) {
  Cursor row(batch_by_id_, as_blob(id.uuid));
  if (!row.next()) return std::nullopt;
  return read_batch(row);
}

bool BatchWriter::too_many_run() {
  int running = 0;
  Cursor row(running_batches_, 0, kMaxRunningBatches);
  while (row.next()) ++running;
  return running == kMaxRunningBatches;
}

OperatorBatchPtr BatchWriter::store(OperatorBatch batch, bool ended, Transaction& transaction) {
  update_batch_.run(batch.number, to_string(batch.state), batch.matched, batch.counted ? 1 : 0, batch.done,
                    batch.skipped, batch.place, millis(batch.finished_at));
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
  if (too_many_run()) return too_many_batches();
  OperatorBatch batch = *command.batch;
  Counters& counters = transaction.counters();
  batch.number = ++counters.batches;  // from here on, whatever changes its state is not this batch's
  batch.last_event = counters.event_seq;
  batch.last_endpoint = counters.endpoint_seq;
  const std::string filter = encode_filter(batch.filter), rate = to_string(batch.rate);
  insert_batch_.run(batch.number, as_blob(batch.id.uuid), to_string(batch.action), filter, rate, batch.reason,
                    batch.who, batch.matched, batch.counted ? 1 : 0, batch.last_event, batch.last_endpoint,
                    millis(batch.created_at));
  auto stored = std::make_shared<const OperatorBatch>(std::move(batch));
  transaction.tell(BatchChanged{stored});
  return stored;
}

Result<OperatorBatchPtr> BatchWriter::execute(const StepBatch& command, Transaction& transaction) {
  auto found = find(command.id);
  if (!found) return missing("batch");
  OperatorBatch& batch = *found;
  const BatchStep& step = *command.step;
  if (batch.state != BatchState::kRunning || batch.place != step.from) {
    auto stored = std::make_shared<const OperatorBatch>(std::move(batch));
    if (transaction.repeats()) {
      for (const DeliveryKey key : step.keys) operator_.tell_again(key, transaction);
      if (step.last && stored->state == BatchState::kFinished) transaction.tell(BatchChanged{stored});
    }
    return stored;
  }
  const bool first = step.from.empty();
  std::int64_t done = 0;
  for (const DeliveryKey key : step.keys) done += operator_.act(batch, key, step.at, first, transaction);
  note_step(batch, step, done);
  return store(std::move(batch), step.last, transaction);
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

}  // namespace outboxd::sqlite
