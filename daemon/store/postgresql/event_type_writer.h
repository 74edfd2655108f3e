// Counts accepted events by tenant and type, afterwards and in the order of their numbers, so that accepting one costs
// nothing for it and none is counted twice or left out. A part of the Writer.
//
// Numbers are not in the order of commits: one that is lower than what can be seen may belong to a transaction that is under
// way. So events are counted up to a number only when every transaction that was under way after it was drawn has ended.
// (Each has an identity of its own from the lock on its member's row on, and draws the numbers of its events after that; it
// holds the lock of that identity until its end. A snapshot would not do: those that have begun since the last one ended are
// not in it.)
#pragma once

#include <optional>
#include <set>

#include "store/event_type_counts.h"
#include "store/postgresql/connection.h"
#include "store/postgresql/event_walk.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

class EventTypeWriter {
 public:
  explicit EventTypeWriter(Connection& db);

  Result<TypesCounted> execute(const CountTypes& command, Transaction& transaction);
  // Counts up to `limit` more events. All events up to the number that it returns are counted.
  struct Place {
    EventSeq counted = 0;
    bool more = false;  // there is something to be counted at once
  };
  Place count(std::int64_t limit);

 private:
  class Table;
  EventSeq settled();

  Connection& db_;
  EventWalk events_;
  Statement place_, set_place_, newest_, under_way_, add_, add_many_, insert_many_;
  // When these transactions have ended, no more events come with numbers up to `newest`.
  struct Horizon {
    EventSeq newest = 0;
    std::set<std::int64_t> transactions;
  };
  std::optional<Horizon> horizon_;
};

}  // namespace outboxd::postgresql
