// Records the outcomes of attempts: the attempt, the delivery's new state, and the promotion of the next delivery in its
// order. A part of the Writer.
//
// Outcomes come in runs, as events do (event_writer.h). The rows of their deliveries are taken out of `pending` by the same
// statement that reads them; execute() changes them in memory, and write() puts each where it belongs: back, for an UPDATE
// would write it anew as well, with all its index entries; or into `finished`.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "store/postgresql/pending_rows.h"
#include "store/postgresql/run_orders.h"
#include "store/postgresql/transaction.h"

namespace outboxd::postgresql {

class OutcomeWriter {
 public:
  OutcomeWriter(Connection& db, RunOrders& orders, PendingRows& pending);

  void expect(const RecordOutcome& command);
  void ask(Pipeline& pipeline, bool repeats);
  void hear(const Pipeline& pipeline);
  // What is known of deliveries that are not pending. Nothing to ask is the rule.
  void ask_finished(Pipeline& pipeline);
  void hear_finished(const Pipeline& pipeline);
  Result<Recorded> execute(const RecordOutcome& command, Transaction& transaction);
  void write(Pipeline& pipeline);
  void end_run();

 private:
  struct Verdict;
  struct Finished {
    int day = 0;
    DeliveryState state = DeliveryState::kDiscarded;
    std::optional<DeadReason> reason = {};
    int attempts_ever = 0;
    bool changed = false;
  };
  struct Known {  // of a delivery; neither: there is no such delivery
    std::optional<PendingRow> pending = {};
    std::optional<Finished> finished = {};
  };
  struct FinishedRow {
    PendingRow was;
    DeliveryState state;
    std::optional<DeadReason> reason;
    std::int64_t finished_at;
  };
  struct AttemptRow {
    const Attempt* attempt;  // the command's, which outlives the transaction
    DeliveryKey key;
    int day, number;
    std::int64_t after_batch;
  };

  bool was_recorded(const RecordOutcome& command, const Known& known) const;
  bool move(const RecordOutcome& command, const Verdict& verdict, Known& known, OutcomeRecorded& fact,
            Transaction& transaction);
  bool add_attempt(const RecordOutcome& command, bool moved, Known& known, int ever_before,
                   const Transaction& transaction);
  void read_standing(OutcomeRecorded& fact, const Known& known, const Transaction& transaction) const;
  void write_finished(Pipeline& pipeline);
  void write_attempts(Pipeline& pipeline);

  RunOrders& orders_;
  PendingRows& pending_;

  std::vector<const RecordOutcome*> expected_;
  std::map<DeliveryKey, Known> known_;                 // in the order in which their rows are locked
  std::vector<const RecordOutcome*> recorded_before_;  // on a repeat: whose attempts are there, sorted
  std::optional<std::size_t> taken_at_, attempts_at_, finished_at_;
  std::vector<FinishedRow> finished_;
  std::vector<AttemptRow> attempts_;

  Statement take_pending_, find_attempts_, find_finished_;
  Statement insert_finished_, insert_attempts_, count_attempts_;
};

}  // namespace outboxd::postgresql
