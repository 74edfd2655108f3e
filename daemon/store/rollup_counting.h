// Keeps the roll-up (rollup.h) for a store's writer: counts what the commands of a transaction make true, and writes it in
// the same transaction, one row for each group that has changed, just before the commit.
//
// So it is exact after any crash or rollback, with nothing to recount. It is cheap because of the group commit: the
// hundreds of outcomes of a transaction belong to a few groups. The rows of the current minute are kept in memory, and
// written without being read. After a rollback they are read again.
//
// Pure, but for the table, which the store gives.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/commands.h"
#include "store/rollup.h"
#include "store/rows.h"

namespace outboxd {

class RollupTable {
 public:
  struct Group {
    RollupCounts counts;
    bool changed = false;
  };
  using Groups = std::map<RollupKey, Group>;

  virtual ~RollupTable() = default;
  // All rows of a span. Where several daemons write, a group may have several rows, which add up.
  virtual std::vector<RollupRow> rows(Millis span, Time at) = 0;
  // As rows(), but what others have counted counts nothing: only that they have such groups is of interest.
  virtual std::vector<RollupRow> own_rows(Millis span, Time at) { return rows(span, at); }
  // Stores what this daemon has counted of these groups so far.
  virtual void put(Millis span, Time at, const std::vector<Groups::value_type*>& groups) = 0;
  // The first span of this length in [from, before) that has rows.
  virtual std::optional<Time> next(Millis span, Time from, Time before) = 0;
  virtual std::int64_t erase(Millis span, Time at) = 0;  // answers how many rows
  // Minutes before this are in their hours too.
  virtual Time rolled_up() = 0;
  virtual void set_rolled_up(Time until) = 0;
};

// The groups of one span of time.
class RollupSpan {
 public:
  RollupSpan(RollupTable& table, Millis length) : table_(table), length_(length) {}

  // From here on it is about the span that holds `t`. Writes what has changed in another one.
  void open(Time t);
  // What the group has counted so far, to be changed. Beyond the bounds: that of "other".
  RollupCounts& counts(RollupKey key);
  void write();   // what has changed
  void forget();  // what has not been written is lost

 private:
  using Groups = RollupTable::Groups;
  void bound(RollupKey& key) const;
  Groups::iterator add(RollupKey key);

  RollupTable& table_;
  const Millis length_;
  std::optional<Time> at_;
  Groups groups_;
  std::set<std::string> types_;
  std::array<std::size_t, 2> sizes_{};  // groups that failed, and that succeeded
  std::vector<Groups::value_type*> changed_;
};

class RollupCounting {
 public:
  // Minutes are added up to hours once they have been over for `settles`: for as long as another daemon's transaction that
  // began in one may take.
  explicit RollupCounting(RollupTable& table, Millis settles = Millis(0))
      : table_(table), settles_(settles) {}

  // What has become true in this transaction.
  void event_accepted();
  void delivery_accepted(EndpointSeq endpoint, const std::string& type);
  // `attempted`: its attempt was recorded. `to`, `reason`: what became of the delivery.
  void outcome_recorded(const RecordOutcome& outcome, bool attempted, DeliveryState to,
                        std::optional<DeadReason> reason);

  // Adds minutes that are over up to hours, and deletes what is no longer kept at `now`. Stops after `limit` rows, or
  // up to one span's more. Returns their number; less than `limit`: that was all.
  std::int64_t maintain(Time now, std::int64_t limit);

  // For the transaction: it begins at `now`; its commit is near; it is committed. A store of several daemons says at the
  // beginning what is rolled up, because another may do it.
  void begin(Time now, std::optional<Time> rolled_up = std::nullopt);
  void write();
  void committed() { committed_ = true; }
  // What is in memory is not what is stored: it is read again.
  void forget();

 private:
  template <class Change>
  void count(const RollupKey& key, Change change);
  Time rolled_up();
  void set_rolled_up(Time until);
  std::int64_t roll_up_next();
  std::int64_t delete_next(Millis span, Time before);

  RollupTable& table_;
  const Millis settles_;
  bool committed_ = true;  // the last transaction
  Time now_{};             // when this one began
  RollupSpan minute_{table_, kRollupMinute}, hour_{table_, kRollupHour};
  std::optional<Time> rolled_up_;
};

}  // namespace outboxd
