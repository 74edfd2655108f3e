// Records the outcome of an attempt: the attempt, the delivery's new state, and the promotion of the next delivery in
// its order. A part of the Writer.
#pragma once

#include <optional>
#include <vector>

#include "store/sqlite/database.h"
#include "store/sqlite/delivery_order.h"
#include "store/sqlite/delivery_statements.h"
#include "store/sqlite/many_rows.h"
#include "store/sqlite/transaction.h"

namespace outboxd::sqlite {

class OutcomeWriter {
 public:
  OutcomeWriter(Database& db, DeliveryOrder& order) : db_(db), order_(order) {}

  Result<Recorded> execute(const RecordOutcome& command, Transaction& transaction);
  // Inserts the attempts that were gathered; or drops them, because the transaction is gone.
  void insert_gathered();
  void drop_gathered();

 private:
  bool expires(DeliveryKey key);
  bool was_recorded(const RecordOutcome& command);
  // Moves the delivery if it is pending, with one statement for deliveries in no order and another for those in order.
  // True: it moved, and `fact` holds its new state.
  struct Verdict;
  bool move(const RecordOutcome& command, const Verdict& verdict, OutcomeRecorded& fact,
            Transaction& transaction);
  bool move_by(Statement& statement, const RecordOutcome& command, const Verdict& verdict,
               OutcomeRecorded& fact, Transaction& transaction);
  void read_standing(OutcomeRecorded& fact, const Transaction& transaction);
  void insert_attempt(DeliveryKey key, const Attempt& attempt, std::int64_t after_batch);

  // Not inserted yet. The attempt is the command's, which outlives the transaction.
  struct AttemptRow {
    const Attempt* attempt;
    DeliveryKey key;
    std::int64_t after_batch;
  };

  Database& db_;
  DeliveryOrder& order_;
  std::vector<AttemptRow> attempts_;
  ManyRows insert_attempts_{db_, sql::kInsertAttempt};
  Statement move_pending_{db_, sql::kMovePending}, move_pending_in_order_{db_, sql::kMovePendingInOrder};
  Statement find_delivery_{db_, sql::kFindDelivery};
  Statement expires_{db_, sql::kExpires}, count_attempt_{db_, sql::kCountAttempt};
  Statement insert_attempt_{db_, sql::kInsertAttempt}, last_attempt_{db_, sql::kLastAttempt};
  Statement find_attempt_{db_, sql::kFindAttempt};
};

}  // namespace outboxd::sqlite
