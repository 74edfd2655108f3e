// Deliveries in order: of those pending with one endpoint and sequence key the first accepted is the head and the
// others are blocked. Every command that puts a delivery there or takes one away keeps it so, by one seek to the first
// of them; what is in no order costs nothing.
//
// A part of the Writer: its calls belong into the transaction of the command that changes the delivery.
#pragma once

#include <optional>
#include <string>

#include "store/sqlite/database.h"
#include "store/sqlite/delivery_statements.h"
#include "store/sqlite/transaction.h"
#include "store/store.h"

namespace outboxd::sqlite {

class DeliveryOrder {
 public:
  explicit DeliveryOrder(Database& db) : db_(db) {}

  // Where a delivery stands that will be pending with this sequence key and is not yet. A head that it comes
  // before is demoted (on a repeat, perhaps it was before).
  struct Place {
    bool blocked = false;
    std::optional<DeliveryKey> demoted;
  };
  Place place(DeliveryKey key, const std::optional<std::string>& sequence_key,
              const Transaction& transaction);
  // After one has left: true if the next one was blocked and is the head now.
  bool promote(EndpointSeq endpoint, const std::string& sequence_key);
  // The one that this one blocks.
  std::optional<DeliveryKey> next_in_order(DeliveryKey key, const std::string& sequence_key);
  // Absent: the delivery is not pending, or in no order.
  std::optional<std::string> sequence_key_of_pending(DeliveryKey key);

 private:
  struct First {
    EventSeq event = 0;
    bool blocked = false;
  };
  std::optional<First> first_in_order(EndpointSeq endpoint, const std::string& sequence_key,
                                      EventSeq after = 0);

  Database& db_;
  Statement first_in_order_{db_, sql::kFirstInOrder}, set_blocked_{db_, sql::kSetBlocked};
  Statement sequence_key_of_pending_{db_, sql::kSequenceKeyOfPending};
};

}  // namespace outboxd::sqlite
