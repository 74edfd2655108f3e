// Records what became of an attempt: the attempt, the delivery's new state, and who is the next in its order. A part of
// the Writer.
#pragma once

#include "store/sqlite/database.h"
#include "store/sqlite/delivery_order.h"
#include "store/sqlite/delivery_statements.h"
#include "store/sqlite/transaction.h"
#include "store/store.h"

namespace outboxd::sqlite {

class OutcomeWriter {
 public:
  OutcomeWriter(Database& db, DeliveryOrder& order) : db_(db), order_(order) {}

  void execute(const RecordOutcome& command, Transaction& transaction);

 private:
  bool expires(DeliveryKey key);
  bool move_pending(Statement& move, const RecordOutcome& command, Transaction& transaction);
  bool move_pending_in_order(const RecordOutcome& command, Transaction& transaction);
  void insert_attempt(DeliveryKey key, const Attempt& attempt);

  Database& db_;
  DeliveryOrder& order_;
  Statement move_pending_{db_, sql::kMovePending}, move_pending_in_order_{db_, sql::kMovePendingInOrder};
  Statement expires_{db_, sql::kExpires}, count_attempt_{db_, sql::kCountAttempt};
  Statement insert_attempt_{db_, sql::kInsertAttempt}, last_attempt_{db_, sql::kLastAttempt};
};

}  // namespace outboxd::sqlite
