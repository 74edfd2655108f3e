// Keeps the roll-up (store/rollup.h) for the Writer: counts what the commands of a transaction make true, and writes it in
// the same transaction, one row for each group that has changed, just before the commit. A part of the Transaction.
//
// So it is exact after any crash or rollback, with nothing to recount. It is cheap because of the group commit: the
// hundreds of outcomes of a transaction belong to a few groups. The rows of the current minute are kept in memory, and
// written without being read. After a rollback they are read again.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/commands.h"
#include "store/rollup.h"
#include "store/sqlite/database.h"
#include "store/sqlite/rollup_statements.h"

namespace outboxd::sqlite {

// The groups of one span of time.
class RollupSpan {
 public:
  RollupSpan(Database& db, Millis length) : db_(db), length_(length) {}

  // From here on it is about the span that holds `t`. Writes what has changed in another one.
  void open(Time t);
  // What the group has counted so far, to be changed. Beyond the bounds: that of "other".
  RollupCounts& counts(RollupKey key);
  void write();   // what has changed
  void forget();  // what has not been written is lost

 private:
  struct Group {
    RollupCounts counts;
    bool changed = false;
  };
  using Groups = std::map<RollupKey, Group>;
  void bound(RollupKey& key) const;
  Groups::iterator add(RollupKey key);

  Database& db_;
  const Millis length_;
  std::optional<Time> at_;
  Groups groups_;
  std::set<std::string> types_;
  std::array<std::size_t, 2> sizes_{};  // groups that failed, and that succeeded
  std::vector<Groups::value_type*> changed_;
  Statement put_{db_, sql::kPutRollup}, of_span_{db_, sql::kRollupOfSpan};
};

class RollupWriter {
 public:
  explicit RollupWriter(Database& db) : db_(db) {}

  // What has become true in this transaction.
  void event_accepted();
  void delivery_accepted(EndpointSeq endpoint, const std::string& type);
  // `attempted`: its attempt was recorded. `to`, `reason`: what became of the delivery.
  void outcome_recorded(const RecordOutcome& outcome, bool attempted, DeliveryState to,
                        std::optional<DeadReason> reason);

  // Adds minutes that are over up to hours, and deletes what is no longer kept at `now`. Stops after `limit` rows, or
  // up to one span's more. Returns their number; less than `limit`: that was all.
  std::int64_t maintain(Time now, std::int64_t limit);

 private:
  friend class Transaction;
  void begin(Time now);
  void write();
  void committed() { committed_ = true; }

  template <class Change>
  void count(const RollupKey& key, Change change);
  Time rolled_up();  // minutes before this are in their hours too
  void set_rolled_up(Time until);
  std::int64_t roll_up_next();
  std::int64_t delete_next(Millis span, Time before);

  Database& db_;
  bool committed_ = true;  // the last transaction
  Time now_{};             // when this one began
  RollupSpan minute_{db_, kRollupMinute}, hour_{db_, kRollupHour};
  std::optional<Time> rolled_up_;
  Statement of_span_{db_, sql::kRollupOfSpan}, next_{db_, sql::kNextRollup};
  Statement delete_{db_, sql::kDeleteRollup};
  Statement read_rolled_up_{db_, sql::kRolledUp}, set_rolled_up_{db_, sql::kSetRolledUp};
};

}  // namespace outboxd::sqlite
