// Erases payloads: that of one event for an operator, who wants nothing of it sent any more; and, in bounded steps, those
// that retention keeps no longer ([retention] payload). A part of the Writer.
//
// sweep.payloads_gone is the place up to which every payload is gone, so that a round reads only what came later, and what
// has kept its payload because something of it was pending.
#pragma once

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "store/erasable_event.h"
#include "store/postgresql/connection.h"
#include "store/postgresql/delivery_moves.h"
#include "store/postgresql/event_walk.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

class PayloadWriter {
 public:
  PayloadWriter(Connection& db, DeliveryMoves& moves);

  Result<Erased> execute(const ErasePayload& command, Transaction& transaction);
  Result<PayloadsPruned> execute(const PrunePayloads& command, Transaction& transaction);

  // The partitions in which erased bytes are left in versions of rows that nobody sees any more, by their days; those of
  // committed transactions. The Writer, which asks, has them vacuumed.
  std::set<int> take_days_to_vacuum() { return std::exchange(to_vacuum_, {}); }

 private:
  struct Event : ErasableEvent {
    int day = 0;
  };
  std::optional<Event> find(const EventId& id);
  void erase(const std::vector<Event>& events, Time at, Transaction& transaction);
  std::int64_t discard_pending(const std::vector<DeliveryKey>& keys, Time at, Transaction& transaction);

  DeliveryMoves& moves_;
  EventWalk payloads_;
  Statement by_id_, many_, erase_, end_fan_out_, count_deliveries_, states_, place_, set_place_;
  std::set<int> to_vacuum_;
};

}  // namespace outboxd::postgresql
