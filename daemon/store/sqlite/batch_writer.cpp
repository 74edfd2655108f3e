#include "store/sqlite/batch_writer.h"

#include <algorithm>
#include <utility>

#include "store/sqlite/batch_rows.h"
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
  if (too_many_run()) {
    return problem(ProblemCode::kConflict,
                   std::to_string(kMaxRunningBatches) + " batches are running: wait for one, or cancel one");
  }
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

// What was counted may have changed before its turn came, and then it was not even found.
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
  for (const DeliveryKey key : step.keys) {
    if (operator_.act(batch, key, step.at, first, transaction)) {
      ++batch.done;
    } else {
      ++batch.skipped;
    }
  }
  batch.place = step.to;
  batch.matched = std::max({batch.matched, step.matched, batch.done + batch.skipped});
  batch.counted = batch.counted || step.counted || step.last;
  if (step.last) {
    batch.skipped = std::max(batch.skipped, batch.matched - batch.done);
    batch.state = BatchState::kFinished;
    batch.finished_at = step.at;
  }
  return store(std::move(batch), step.last, transaction);
}

Result<OperatorBatchPtr> BatchWriter::execute(const CancelBatch& command, Transaction& transaction) {
  auto batch = find(command.id);
  if (!batch) return missing("batch");
  if (transaction.repeats() && batch->state == BatchState::kCancelled)
    return store(std::move(*batch), true, transaction);
  if (batch->state != BatchState::kRunning) {
    return problem(ProblemCode::kConflict,
                   "the batch is " + std::string(to_string(batch->state)) + " already: nothing is cancelled");
  }
  batch->state = BatchState::kCancelled;
  batch->finished_at = command.at;
  return store(std::move(*batch), true, transaction);
}

}  // namespace outboxd::sqlite
