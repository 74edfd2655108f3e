// The transaction over a batch of commands: what they have changed so far, and what is answered when it is committed.
//
// The Writer begins it and ends it. The parts that carry out commands (EventWriter, OutcomeWriter, ...) are handed it with
// each command; they keep no state of their own besides prepared statements, so a rollback has nothing to undo in them.
#pragma once

#include <algorithm>
#include <functional>
#include <unordered_set>
#include <vector>

#include "store/due_clock.h"
#include "store/sqlite/counters.h"
#include "store/sqlite/database.h"
#include "store/sqlite/transaction_statements.h"
#include "store/store.h"

namespace outboxd::sqlite {

class Transaction {
 public:
  Transaction(Database& db, DueClock& due_clock);

  Counters& counters() { return counters_; }  // with what the batch has changed

  // How far due times on disk are ahead of the wall clock (due_clock.h).
  Millis ahead() const { return ahead_; }
  // As the column due_at has it: `due` as it was decided at `at`, which lies in the future when the clock was set
  // back since.
  std::int64_t due_millis(Time due, Time at) const {
    return millis(due + ahead_ - std::max(at - wall_ - DueClock::kStep, Millis(0)));
  }

  // A command made before an endpoint was removed may still name it: it matches no more.
  bool is_removed(EndpointSeq endpoint) const;
  void remove(EndpointSeq endpoint) { removed_.insert(endpoint); }

  // Commands are const until the commit is certain; only then their results are put into them. What was undone
  // leaves no trace in them, and the next try is the same again.
  template <class C, class Put>
  void answer(Put put) {
    answers_.push_back(
        [write = current_, put = std::move(put)]() mutable { put(std::get<C>(write->command)); });
  }
  void refuse(Problem problem);
  void refuse_as_missing(std::string_view what);  // kNotFound

 private:
  friend class Writer;  // begins and ends the transaction, and nobody else does

  void begin();
  void start_command(Write* write) { current_ = write; }
  Write* current() const { return current_; }  // null: none is being carried out
  // Durable on return; the answers are in the commands.
  void commit();
  // False: it could not be undone, and the connection must not be used any more.
  bool rollback() noexcept;

  Database& db_;
  DueClock& due_clock_;
  Statement begin_{db_, sql::kBegin}, commit_{db_, sql::kCommit}, rollback_{db_, sql::kRollback};
  Statement add_to_counter_{db_, sql::kAddToCounter};

  // As committed.
  Counters committed_;
  std::unordered_set<EndpointSeq> endpoints_;  // those that are not removed

  // Of the transaction under way.
  Counters counters_;
  std::unordered_set<EndpointSeq> removed_;
  Millis ahead_{0};
  Time wall_{};  // when it began
  Write* current_ = nullptr;
  std::vector<std::function<void()>> answers_;
};

}  // namespace outboxd::sqlite
