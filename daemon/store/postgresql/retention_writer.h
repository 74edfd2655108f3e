// Deletes what retention no longer keeps, in steps of a bounded number of rows; every table has its turn. A part of the
// Writer.
//
// This is how single rows go: those of days with little in them, and of what has outlived its day. Days with much in them are
// emptied at once (day_retirement.h), and passed over here.
#pragma once

#include <vector>

#include "store/postgresql/connection.h"
#include "store/postgresql/day_retirement.h"
#include "store/postgresql/event_type_writer.h"
#include "store/postgresql/event_walk.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

class RetentionWriter {
 public:
  // Days with at least so many rows are emptied at once.
  RetentionWriter(Connection& db, EventTypeWriter& types, std::int64_t large_day = DayRetirement::kWorthIt);

  Result<Pruned> execute(const Prune& command, Transaction& transaction);

 private:
  struct Step;
  struct OldEvent;
  struct Finish;
  void prune_other_tables(const Prune& command, Step& step, Transaction& transaction);
  void prune_events(Step& step, Transaction& transaction);
  std::vector<OldEvent> old_events(Step& step, bool& more);
  // The deliveries of the event that have been read are `finishes`, and perhaps there are more. False: the step is over
  // before the event is done with.
  bool prune_event(const OldEvent& event, std::vector<Finish> finishes, Step& step);
  std::vector<std::vector<Finish>> finishes_of(const std::vector<OldEvent>& events,
                                               const std::vector<std::int64_t>& after, std::int64_t limit);
  void write(Step& step, Transaction& transaction);

  EventTypeWriter& types_;
  DayRetirement large_days_;
  EventWalk events_;
  Statement expired_keys_, rejected_, ended_batches_, removed_endpoints_;
  Statement finishes_, delete_deliveries_, delete_events_;
};

}  // namespace outboxd::postgresql
