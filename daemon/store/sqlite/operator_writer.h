// An operator's changes to deliveries: retry, discard, replay, of one or by a batch; and the erasure of a payload. A part of
// the Writer.
#pragma once

#include <optional>
#include <string>

#include "store/operator_batch.h"
#include "store/sqlite/database.h"
#include "store/sqlite/delivery_order.h"
#include "store/sqlite/delivery_statements.h"
#include "store/sqlite/endpoint_statements.h"
#include "store/sqlite/event_statements.h"
#include "store/sqlite/payload_eraser.h"
#include "store/sqlite/transaction.h"

namespace outboxd::sqlite {

class OperatorWriter {
 public:
  OperatorWriter(Database& db, DeliveryOrder& order, PayloadEraser& eraser)
      : db_(db), order_(order), eraser_(eraser) {}

  Result<Delivery> execute(const ChangeDelivery& command, Transaction& transaction);
  Result<Replayed> execute(const ReplayEvent& command, Transaction& transaction);
  Result<Erased> execute(const ErasePayload& command, Transaction& transaction);

  // What a batch does to one delivery. False: nothing, because it has changed since the batch was made, or is gone.
  // `first`: in the first step; only then may it override what the endpoint's health says.
  bool act(const OperatorBatch& batch, DeliveryKey key, Time at, bool first, Transaction& transaction);
  // On a repeat: what act() announced, once more.
  void tell_again(DeliveryKey key, Transaction& transaction);

 private:
  struct ReplayedEvent;
  std::optional<ReplayedEvent> find_event(const EventId& id);
  std::optional<ReplayedEvent> find_event(EventSeq seq);
  std::optional<Delivery> find_delivery(DeliveryKey key, const Transaction& transaction);
  std::optional<Ordering> ordering_of(EndpointSeq endpoint);  // absent: there is no such endpoint
  Result<std::optional<std::string>> ordering_key_to_retry(
      EventSeq event);  // kConflict: the payload was erased

  // Each announces what is due now; `wake`: the endpoint is to be tried whatever its health (DueOnDisk::by_operator).
  void make_pending(const Delivery& from, const std::optional<std::string>& sequence_key, Time at, bool wake,
                    Transaction& transaction);
  void insert_delivery(DeliveryKey key, int priority, const std::optional<std::string>& sequence_key, Time at,
                       bool wake, Transaction& transaction);
  void discard(DeliveryKey key, DeliveryState from, Time at, bool wake, Transaction& transaction);
  bool changed_since(const OperatorBatch& batch, DeliveryKey key);
  void tell_again(const Delivery& changed, Transaction& transaction);  // on a repeat
  void erase(const ErasableEvent& event, Time at, Transaction& transaction);

  Database& db_;
  DeliveryOrder& order_;
  PayloadEraser& eraser_;
  Statement find_delivery_{db_, sql::kFindDelivery}, change_delivery_{db_, sql::kChangeDelivery};
  Statement insert_delivery_{db_, sql::kInsertDelivery}, discard_pending_{db_, sql::kDiscardPending};
  Statement find_event_to_replay_{db_, sql::kFindEventToReplay};
  Statement add_event_deliveries_{db_, sql::kAddEventDeliveries};
  Statement event_to_replay_by_seq_{db_, sql::kEventToReplayBySeq};
  Statement changed_after_batch_{db_, sql::kChangedAfterBatch};
  Statement event_to_retry_{db_, sql::kEventToRetry};
  Statement states_of_event_{db_, sql::kStatesOfEvent}, delete_fan_out_{db_, sql::kDeleteFanOut};
  Statement count_event_deliveries_{db_, sql::kCountEventDeliveries};
  Statement endpoint_ordering_{db_, sql::kEndpointOrdering};
};

}  // namespace outboxd::sqlite
