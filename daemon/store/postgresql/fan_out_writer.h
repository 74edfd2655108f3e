// What remains of accepting an event: the further steps of a large fan-out, and rows of the SQL outbox that can never become
// events. A part of the Writer.
#pragma once

#include <set>

#include "store/postgresql/delivery_order.h"
#include "store/postgresql/pending_rows.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

class FanOutWriter {
 public:
  FanOutWriter(Connection& db, DeliveryOrder& order, PendingRows& pending);

  Result<Expanded> execute(const ExpandEvent& command, Transaction& transaction);
  Result<Nothing> execute(const RejectOutboxRow& command, Transaction& transaction);

 private:
  std::set<EndpointSeq> delivered_to(const ExpandEvent& command, int day);

  Connection& db_;
  DeliveryOrder& order_;
  PendingRows& pending_;
  Statement fan_out_of_, advance_fan_out_, delete_fan_out_, count_deliveries_, delivered_to_, reject_row_;
};

}  // namespace outboxd::postgresql
