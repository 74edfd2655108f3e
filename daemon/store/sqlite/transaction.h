// The transaction over a batch of commands: what they have changed so far, and what is told when it is committed.
//
// The Writer begins it and ends it. The parts that carry out commands (EventWriter, OutcomeWriter, ...) are handed it with
// each command; they keep no state of their own besides prepared statements, so a rollback has nothing to undo in them.
// A command is refused, if at all, before it has written or told anything.
#pragma once

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "store/facts.h"
#include "store/sqlite/counters.h"
#include "store/sqlite/database.h"
#include "store/sqlite/directory_changes.h"
#include "store/sqlite/shared.h"
#include "store/sqlite/transaction_statements.h"
#include "store/store.h"

namespace outboxd::sqlite {

tl::unexpected<Problem> missing(std::string_view what);  // kNotFound

class Transaction {
 public:
  Transaction(Database& db, Shared& shared);

  Counters& counters() { return counters_; }  // with what the batch has changed
  DirectoryChanges& directory() { return directory_; }

  // The same commands were applied before, and may be committed already: each looks first whether it is there. Then it
  // is answered as it was, and told again.
  bool repeats() const { return repeats_; }

  // How far due times on disk are ahead of the wall clock (due_clock.h).
  Millis ahead() const { return ahead_; }
  // As the column due_at has it: `due` as it was decided at `at`, which lies in the future when the clock was set
  // back since.
  std::int64_t due_millis(Time due, Time at) const {
    return millis(due + ahead_ - std::max(at - wall_ - DueClock::kStep, Millis(0)));
  }
  // How long it is from now until that which is due then, by the column.
  Millis due_in(Time due) const { return due - (wall_ + ahead_); }

  // Told once the transaction is committed, in this order.
  template <class F>
  void tell(F fact) {
    facts_.emplace_back(std::move(fact));
  }
  // Done once it is committed, for what a command was given to be filled in. Of a size that std::function does not
  // allocate for.
  template <class Action>
  void when_committed(Action action) {
    static_assert(sizeof action <= 2 * sizeof(void*));
    actions_.emplace_back(action);
  }

 private:
  friend class Writer;  // begins and ends the transaction, and nobody else does

  void begin(const Batch& batch);
  Facts commit();  // durable on return
  // False: it could not be undone, and the connection must not be used any more.
  bool rollback() noexcept;

  Database& db_;
  DueClock& due_clock_;
  Statement begin_{db_, sql::kBegin}, commit_{db_, sql::kCommit}, rollback_{db_, sql::kRollback};
  Statement add_to_counter_{db_, sql::kAddToCounter};

  Counters committed_;
  DirectoryChanges directory_;

  // Of the transaction under way.
  Counters counters_;
  bool repeats_ = false;
  Millis ahead_{0};
  Time wall_{};  // when it began
  Facts facts_;
  std::vector<std::function<void()>> actions_;
};

}  // namespace outboxd::sqlite
