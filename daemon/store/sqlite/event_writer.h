// Accepts events: the event, a delivery for each endpoint that matches, its idempotency key and the row of the SQL
// outbox that it came from. A part of the Writer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/sqlite/database.h"
#include "store/sqlite/delivery_order.h"
#include "store/sqlite/delivery_statements.h"
#include "store/sqlite/event_statements.h"
#include "store/sqlite/transaction.h"
#include "store/store.h"

namespace outboxd::sqlite {

class EventWriter {
 public:
  EventWriter(Database& db, DeliveryOrder& order) : db_(db), order_(order) {}

  void execute(const AcceptEvents& command, Transaction& transaction);
  void execute(const AnnounceEvent& command, Transaction& transaction);
  void execute(const ExpandEvent& command, Transaction& transaction);
  void execute(const RejectOutboxRow& command, Transaction& transaction);

 private:
  struct Disposition;
  std::optional<Problem> check_idempotency(const AcceptEvents& command,
                                           std::vector<Disposition>& dispositions);
  // The event that had this key first, stored or in the same command, decides the disposition. Both answer what used
  // the key with other content.
  std::optional<std::string> find_stored(const NewEvent& event, Disposition& disposition);
  static std::optional<std::string> find_in_command(const AcceptEvents& command, std::size_t first,
                                                    std::size_t i, std::vector<Disposition>& dispositions);

  bool outbox_row_waits(std::int64_t outbox_row);
  bool delete_outbox_row(std::int64_t outbox_row);  // false: it does not wait any more
  void renumber(std::int64_t outbox_row);

  struct Stored;
  Stored insert(const NewEvent& event, Millis idempotency_window, Transaction& transaction);
  void insert_delivery(Statement& insert, const Event& event, EventSeq seq, FirstAttempt& first,
                       const Transaction& transaction);
  bool has_delivery(DeliveryKey key);

  Database& db_;
  DeliveryOrder& order_;
  Statement insert_event_{db_, sql::kInsertEvent}, insert_delivery_{db_, sql::kInsertDelivery};
  Statement insert_delivery_unless_there_{db_, sql::kInsertDeliveryUnlessThere};
  Statement find_delivery_{db_, sql::kFindDelivery};
  Statement insert_fan_out_{db_, sql::kInsertFanOut}, advance_fan_out_{db_, sql::kAdvanceFanOut};
  Statement delete_fan_out_{db_, sql::kDeleteFanOut};
  Statement count_event_deliveries_{db_, sql::kCountEventDeliveries};
  Statement find_idempotency_{db_, sql::kFindIdempotency}, put_idempotency_{db_, sql::kPutIdempotency};
  Statement outbox_row_waits_{db_, sql::kOutboxRowWaits}, delete_outbox_row_{db_, sql::kDeleteOutboxRow};
  Statement reject_outbox_row_{db_, sql::kRejectOutboxRow};
};

}  // namespace outboxd::sqlite
