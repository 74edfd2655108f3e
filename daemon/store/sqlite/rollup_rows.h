// The table of the roll-up (store/rollup_counting.h).
#pragma once

#include "store/rollup_counting.h"
#include "store/sqlite/database.h"
#include "store/sqlite/rollup_statements.h"

namespace outboxd::sqlite {

class RollupRows final : public RollupTable {
 public:
  explicit RollupRows(Database& db) : db_(db) {}

  std::vector<RollupRow> rows(Millis span, Time at) override;
  void put(Millis span, Time at, const std::vector<Groups::value_type*>& groups) override;
  std::optional<Time> next(Millis span, Time from, Time before) override;
  std::int64_t erase(Millis span, Time at) override;
  Time rolled_up() override;
  void set_rolled_up(Time until) override;

 private:
  Database& db_;
  Statement put_{db_, sql::kPutRollup}, of_span_{db_, sql::kRollupOfSpan}, next_{db_, sql::kNextRollup};
  Statement delete_{db_, sql::kDeleteRollup};
  Statement read_rolled_up_{db_, sql::kRolledUp}, set_rolled_up_{db_, sql::kSetRolledUp};
};

}  // namespace outboxd::sqlite
