// Accepts events: the event, a delivery for each endpoint that matches, its idempotency key and the row of the SQL
// outbox that it came from. A part of the Writer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/idempotency.h"
#include "store/sqlite/database.h"
#include "store/sqlite/delivery_order.h"
#include "store/sqlite/delivery_statements.h"
#include "store/sqlite/event_statements.h"
#include "store/sqlite/many_rows.h"
#include "store/sqlite/transaction.h"

namespace outboxd::sqlite {

class EventWriter {
 public:
  EventWriter(Database& db, DeliveryOrder& order) : db_(db), order_(order) {}

  Result<Accepted> execute(const AcceptEvents& command, Transaction& transaction);
  Result<Accepted> execute(const AnnounceEvent& command, Transaction& transaction);
  Result<Expanded> execute(const ExpandEvent& command, Transaction& transaction);
  Result<Nothing> execute(const RejectOutboxRow& command, Transaction& transaction);
  Result<Nothing> execute(const ResolveOutboxRow& command, Transaction& transaction);
  // Inserts the rows that were gathered; or drops them, because the transaction is gone.
  void insert_gathered();
  void drop_gathered();

 private:
  std::optional<KeyUse> find_key_use(const NewEvent& event);
  AcceptedEvent accept(const AcceptEvents& command, std::size_t i, const Disposition& disposition,
                       const std::vector<AcceptedEvent>& before, Transaction& transaction);

  // On a repeat: was it stored the first time?
  bool find_accepted_before(const AcceptEvents& command, std::vector<Disposition>& dispositions,
                            Transaction& transaction);
  std::optional<AcceptedEvent> find_accepted_before(const NewEvent& event, Transaction& transaction);
  bool was_expanded(const ExpandEvent& command);

  // Refuses a step that does not start from the stored place. On a repeat the place may be the step's end already.
  std::optional<Problem> check_place(const SourceStep& step, const Transaction& transaction);

  bool outbox_row_waits(std::int64_t outbox_row);
  bool delete_outbox_row(std::int64_t outbox_row);  // false: it is not waiting any more
  void renumber(std::int64_t outbox_row);

  AcceptedEvent insert(const NewEvent& event, Millis idempotency_window, Transaction& transaction);
  // False: the delivery exists already, and `insert` leaves it as it is.
  bool insert_delivery(Statement& insert, const std::shared_ptr<const Event>& event, EventSeq seq,
                       const FirstAttempt& first, Transaction& transaction);
  bool has_delivery(DeliveryKey key);

  // A row that is not inserted yet. The event is the command's, which outlives the transaction.
  struct EventRow {
    const Event* event;
    EventSeq seq;
    std::int64_t deliveries;
  };
  struct DeliveryRow {
    const Event* event;
    DeliveryKey key;
    std::int64_t due_at, after_batch;
  };

  Database& db_;
  DeliveryOrder& order_;
  std::vector<EventRow> events_;
  std::vector<DeliveryRow> deliveries_;
  ManyRows insert_events_{db_, sql::kInsertEvent}, insert_deliveries_{db_, sql::kInsertDelivery};
  Statement find_accepted_{db_, sql::kFindAccepted};
  Statement insert_delivery_{db_, sql::kInsertDelivery};
  Statement insert_delivery_unless_there_{db_, sql::kInsertDeliveryUnlessThere};
  Statement find_delivery_{db_, sql::kFindDelivery};
  Statement insert_fan_out_{db_, sql::kInsertFanOut}, advance_fan_out_{db_, sql::kAdvanceFanOut};
  Statement delete_fan_out_{db_, sql::kDeleteFanOut}, fan_out_of_{db_, sql::kFanOutOf};
  Statement count_event_deliveries_{db_, sql::kCountEventDeliveries};
  Statement find_idempotency_{db_, sql::kFindIdempotency}, put_idempotency_{db_, sql::kPutIdempotency};
  Statement outbox_row_waits_{db_, sql::kOutboxRowWaits}, delete_outbox_row_{db_, sql::kDeleteOutboxRow};
  Statement reject_outbox_row_{db_, sql::kRejectOutboxRow};
  Statement retry_outbox_row_{db_, sql::kRetryOutboxRow}, drop_outbox_row_{db_, sql::kDropOutboxRow};
  Statement source_place_{db_, sql::kSourcePlace}, put_source_place_{db_, sql::kPutSourcePlace};
};

}  // namespace outboxd::sqlite
