// Empties days that hold much and are past their keeping, each at once: what stays of one (pending deliveries, dead letters)
// moves to the partition of what is kept, in steps, until there is nothing that stays; then the day's tables are truncated.
// So neither is a large day read nor are its rows deleted one by one, and its counts go with it, by the day. A part of the
// RetentionWriter.
//
// Truncating locks out everybody from the day for as long as the transaction lasts, and has to wait for whoever reads it.
// It waits for 50 ms at most, as all others wait meanwhile, and is tried again in the next round if that was not enough.
#pragma once

#include <set>
#include <vector>

#include "store/postgresql/connection.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

class DayRetirement {
 public:
  // A day with fewer rows is left to those who delete them one by one.
  static constexpr std::int64_t kWorthIt = 20'000;

  explicit DayRetirement(Connection& db, std::int64_t worth_it = kWorthIt);

  // Those that are emptied at once when their time has come: every event of them is old.
  std::vector<std::int64_t> days(const Prune& command);
  // One step with them. True: there is more to do at once. A new round asks again for days that were in use.
  bool step(const Prune& command, EventSeq counted, bool new_round, Transaction& transaction, Pruned& pruned);

 private:
  struct Day {
    int day = 0;
    std::int64_t events = 0, deliveries = 0;
  };
  std::vector<Day> large_days(const Prune& command);
  std::vector<std::int64_t> staying(int day, const Prune& command);
  void move(const std::vector<std::int64_t>& events, int day, Transaction& transaction);
  bool empty(const Day& day, const Prune& command, Transaction& transaction, Pruned& pruned);

  Connection& db_;
  const std::int64_t worth_it_;
  std::set<int> in_use_;  // in this round
  Statement old_days_, newest_, still_pending_, still_fans_out_, died_lately_, ended_lately_;
  Statement move_pending_, move_finished_, move_attempts_, move_events_, move_fan_outs_, move_blocks_;
  Statement delete_kept_blocks_, lock_, empty_;
};

}  // namespace outboxd::postgresql
