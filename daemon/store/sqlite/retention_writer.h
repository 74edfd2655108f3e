// Deletes what retention no longer keeps, in steps of a bounded number of rows; every table has its turn. A part of the
// Writer.
#pragma once

#include "store/sqlite/batch_statements.h"
#include "store/sqlite/database.h"
#include "store/sqlite/event_statements.h"
#include "store/sqlite/event_type_writer.h"
#include "store/sqlite/retention_statements.h"
#include "store/sqlite/transaction.h"

namespace outboxd::sqlite {

class RetentionWriter {
 public:
  RetentionWriter(Database& db, EventTypeWriter& types) : db_(db), types_(types) {}

  Result<Pruned> execute(const Prune& command, Transaction& transaction);

 private:
  // Each returns how many rows it has deleted.
  std::int64_t prune_keys(Time now, std::int64_t limit);
  std::int64_t prune_rejected(Time before, std::int64_t limit);
  std::int64_t prune_endpoints(Time before, std::int64_t limit);
  std::int64_t prune_batches(Time before, std::int64_t limit);

  struct Step;
  void prune_events(Step& step);
  // False: the step ended before the event was done.
  bool prune_event(EventSeq event, bool old, Step& step);
  bool prune_deliveries(EventSeq event, Step& step);
  bool give_back_pages();  // true: there are more

  Database& db_;
  EventTypeWriter& types_;
  Statement events_after_{db_, sql::kEventsAfter}, finish_of_deliveries_{db_, sql::kFinishOfDeliveries};
  Statement fan_out_of_{db_, sql::kFanOutOf}, any_delivery_of_{db_, sql::kAnyDeliveryOf};
  Statement delete_attempts_{db_, sql::kDeleteAttempts}, delete_delivery_{db_, sql::kDeleteDelivery};
  Statement delete_event_{db_, sql::kDeleteEvent};
  Statement expired_idempotency_{db_, sql::kExpiredIdempotency};
  Statement delete_idempotency_{db_, sql::kDeleteIdempotency};
  Statement rejected_after_{db_, sql::kRejectedAfter}, delete_rejected_{db_, sql::kDeleteRejected};
  Statement ended_batches_{db_, sql::kEndedBatches}, delete_batch_{db_, sql::kDeleteBatch};
  Statement removed_endpoints_{db_, sql::kRemovedEndpoints}, delete_endpoint_{db_, sql::kDeleteEndpoint};
  Statement delete_endpoint_count_{db_, sql::kDeleteEndpointCount};
};

}  // namespace outboxd::sqlite
