// An operator's changes to deliveries: retry, discard, replay, of one or by a batch. A part of the Writer.
#pragma once

#include <vector>

#include "store/operator_batch.h"
#include "store/postgresql/delivery_moves.h"
#include "store/postgresql/delivery_order.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

class OperatorWriter {
 public:
  OperatorWriter(Connection& db, DeliveryOrder& order, DeliveryMoves& moves);

  Result<Delivery> execute(const ChangeDelivery& command, Transaction& transaction);
  Result<Replayed> execute(const ReplayEvent& command, Transaction& transaction);

  // What a batch does to some deliveries. Answers to how many: not to those that have changed since the batch was made, or
  // are gone. `first`: in the first step; only then may it override what the endpoint's health says.
  std::int64_t act(const OperatorBatch& batch, const std::vector<DeliveryKey>& keys, Time at, bool first,
                   Transaction& transaction);
  // On a repeat: what act() announced, once more.
  void tell_again(DeliveryKey key, Transaction& transaction);

 private:
  void tell_again(const Delivery& changed, Transaction& transaction);

  DeliveryOrder& order_;
  DeliveryMoves& moves_;
  Statement find_event_, living_endpoints_;
};

}  // namespace outboxd::postgresql
