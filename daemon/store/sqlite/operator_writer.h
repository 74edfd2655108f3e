// An operator's changes to deliveries: retry, discard, replay. A part of the Writer.
#pragma once

#include <optional>
#include <string>

#include "store/sqlite/database.h"
#include "store/sqlite/delivery_order.h"
#include "store/sqlite/delivery_statements.h"
#include "store/sqlite/endpoint_statements.h"
#include "store/sqlite/event_statements.h"
#include "store/sqlite/transaction.h"

namespace outboxd::sqlite {

class OperatorWriter {
 public:
  OperatorWriter(Database& db, DeliveryOrder& order) : db_(db), order_(order) {}

  Result<Delivery> execute(const ChangeDelivery& command, Transaction& transaction);
  Result<Replayed> execute(const ReplayEvent& command, Transaction& transaction);

 private:
  struct ReplayedEvent;
  std::optional<ReplayedEvent> find_event(const EventId& id);
  std::optional<Delivery> find_delivery(DeliveryKey key, const Transaction& transaction);
  std::optional<Ordering> ordering_of(EndpointSeq endpoint);  // absent: there is no such endpoint
  std::optional<std::string> ordering_key_of(EventSeq event);

  void make_pending(const Delivery& from, const std::optional<std::string>& sequence_key, Time at,
                    Transaction& transaction);
  void insert_delivery(DeliveryKey key, int priority, const std::optional<std::string>& sequence_key, Time at,
                       Transaction& transaction);
  void discard(const ChangeDelivery& command, DeliveryState from, Transaction& transaction);
  void tell_again(const Delivery& changed, Transaction& transaction);  // on a repeat

  Database& db_;
  DeliveryOrder& order_;
  Statement find_delivery_{db_, sql::kFindDelivery}, change_delivery_{db_, sql::kChangeDelivery};
  Statement insert_delivery_{db_, sql::kInsertDelivery}, discard_pending_{db_, sql::kDiscardPending};
  Statement find_event_to_replay_{db_, sql::kFindEventToReplay};
  Statement add_event_deliveries_{db_, sql::kAddEventDeliveries};
  Statement event_ordering_key_{db_, sql::kEventOrderingKey};
  Statement endpoint_ordering_{db_, sql::kEndpointOrdering};
};

}  // namespace outboxd::sqlite
