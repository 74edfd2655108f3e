// An operator's batches: made, carried out step by step, ended. A part of the Writer.
#pragma once

#include <optional>

#include "store/operator_batch.h"
#include "store/sqlite/batch_statements.h"
#include "store/sqlite/database.h"
#include "store/sqlite/operator_writer.h"
#include "store/sqlite/transaction.h"

namespace outboxd::sqlite {

class BatchWriter {
 public:
  BatchWriter(Database& db, OperatorWriter& one_by_one) : db_(db), operator_(one_by_one) {}

  Result<OperatorBatchPtr> execute(const CreateBatch& command, Transaction& transaction);
  Result<OperatorBatchPtr> execute(const StepBatch& command, Transaction& transaction);
  Result<OperatorBatchPtr> execute(const CancelBatch& command, Transaction& transaction);

 private:
  std::optional<OperatorBatch> find(const BatchId& id);
  bool too_many_run();
  OperatorBatchPtr store(OperatorBatch batch, bool ended, Transaction& transaction);

  Database& db_;
  OperatorWriter& operator_;
  Statement batch_by_id_{db_, sql::kBatchById}, running_batches_{db_, sql::kRunningBatches};
  Statement insert_batch_{db_, sql::kInsertBatch}, update_batch_{db_, sql::kUpdateBatch};
};

}  // namespace outboxd::sqlite
