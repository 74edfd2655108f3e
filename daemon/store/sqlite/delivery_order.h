// Deliveries in order: of the pending deliveries with the same endpoint and sequence key, the one accepted first is the
// head and the others are blocked. Every command that adds or removes such a delivery maintains this with one seek to
// the first of them; deliveries in no order cost nothing.
//
// A part of the Writer: call it within the transaction of the command that changes the delivery.
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

  // The place of a delivery that is about to become pending with this sequence key. If it precedes the current head,
  // that one is demoted (on a repeat it may have been demoted the first time).
  struct Place {
    bool blocked = false;
    std::optional<DeliveryKey> demoted;
  };
  Place place(DeliveryKey key, const std::optional<std::string>& sequence_key,
              const Transaction& transaction);
  // After a delivery has left the order: true if the next one was blocked and is now the head.
  bool promote(EndpointSeq endpoint, const std::string& sequence_key);
  // The next delivery after `key` in the same order.
  std::optional<DeliveryKey> next_in_order(DeliveryKey key, const std::string& sequence_key);
  // Absent: the delivery is not pending, or is in no order.
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
