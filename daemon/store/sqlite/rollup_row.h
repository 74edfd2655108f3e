// A row of table `rollup`.
#pragma once

#include "store/rollup.h"
#include "store/sqlite/database.h"

namespace outboxd::sqlite {

struct RollupRow {
  Time at{};
  RollupKey key;
  RollupCounts counts;
};
RollupRow read_rollup(const Cursor& row);  // sql::kRollup*

void put_rollup(Statement& put, Millis span, Time at, const RollupKey& key, const RollupCounts& counts);

}  // namespace outboxd::sqlite
