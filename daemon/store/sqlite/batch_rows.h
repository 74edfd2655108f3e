// Batches as the table holds them.
#pragma once

#include "store/operator_batch.h"
#include "store/sqlite/database.h"

namespace outboxd::sqlite {

OperatorBatch read_batch(const Cursor& row);  // sql::kBatchById and its like

}  // namespace outboxd::sqlite
