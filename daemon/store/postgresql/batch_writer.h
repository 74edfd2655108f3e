// An operator's batches: made, carried out step by step, ended. A part of the Writer, which holds the lock of the directory
// alone when a batch is made: so no transaction is under way that does not know of it.
#pragma once

#include <optional>

#include "store/operator_batch.h"
#include "store/postgresql/connection.h"
#include "store/postgresql/operator_writer.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

class BatchWriter {
 public:
  BatchWriter(Connection& db, OperatorWriter& many);

  Result<OperatorBatchPtr> execute(const CreateBatch& command, Transaction& transaction);
  Result<OperatorBatchPtr> execute(const StepBatch& command, Transaction& transaction);
  Result<OperatorBatchPtr> execute(const CancelBatch& command, Transaction& transaction);

 private:
  std::optional<OperatorBatch> find(const BatchId& id);  // locked, so that a step is taken once
  OperatorBatchPtr store(OperatorBatch batch, bool ended, Transaction& transaction);

  OperatorWriter& operator_;
  Statement find_, running_, newest_, insert_, update_;
};

}  // namespace outboxd::postgresql
