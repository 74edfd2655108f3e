// An operator's word on a rejected row of the SQL outbox. A part of the Writer.
#pragma once

#include "store/postgresql/connection.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

class OutboxWriter {
 public:
  explicit OutboxWriter(Connection& db)
      : retry_(
            db,
            "UPDATE outbox SET rejected = NULL, rejected_at = NULL WHERE seq = $1 AND rejected IS NOT NULL"),
        drop_(db, "DELETE FROM outbox WHERE seq = $1 AND rejected IS NOT NULL") {}

  // On a repeat the row may be gone, or wait, because the first time did it.
  Result<Nothing> execute(const ResolveOutboxRow& command, Transaction& transaction) {
    Statement& resolve = command.drop ? drop_ : retry_;
    resolve.run(command.row);
    if (resolve.changes() == 0 && !transaction.repeats()) return missing("rejected row of the outbox");
    if (!command.drop) transaction.tell(OutboxRowsWait{});
    return Nothing{};
  }

 private:
  Statement retry_, drop_;
};

}  // namespace outboxd::postgresql
