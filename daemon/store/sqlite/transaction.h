// The transaction over a batch of commands: what they have changed so far, and which facts follow its commit.
//
// Only the Writer begins and ends it. The parts that carry out commands (EventWriter, OutcomeWriter, ...)
// receive it with each command; they keep no state of their own except prepared statements and the new rows
// that they gather, which Writer::rollback() drops, so a rollback has nothing else to undo in them. After a
// statement has failed the transaction is always rolled back whole: SQLite 3.40 can lose later commits in a
// power cut when a transaction that has outgrown the page cache goes on after ROLLBACK TO. A command that is
// refused is refused before it has written anything or announced any fact.
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
#include "store/sqlite/rollup_rows.h"
#include "store/sqlite/shared.h"
#include "store/sqlite/transaction_statements.h"
#include "store/store.h"

namespace outboxd::sqlite {

tl::unexpected<Problem> missing(std::string_view what);  // kNotFound

class Transaction {
 public:
  Transaction(Database& db, Shared& shared);

  Counters& counters() { return counters_; }  // includes the changes of the batch so far
  DirectoryChanges& directory() { return directory_; }
  RollupCounting& rollup() { return rollup_; }

  // The same commands were applied before and may be committed already. Each command first checks whether its effect is
  // there; if so, it is answered as the first time and its facts are announced again.
  bool repeats() const { return repeats_; }

  // New rows may wait for each other and be inserted together (many_rows.h), until something else has to find them: see
  // Writer::execute_all.
  bool gathers_rows() const { return gathers_rows_; }
  // Events up to this one were there when the transaction began.
  EventSeq last_event_before() const { return committed_.event_seq; }

  // How far due times on disk are ahead of the wall clock (due_clock.h).
  Millis ahead() const { return ahead_; }
  // The value of column due_at for `due`, as it was decided at `at`. If `at` lies in the future, the clock was set back
  // since, and the step is taken off.
  std::int64_t due_millis(Time due, Time at) const {
    return millis(due + ahead_ - std::max(at - wall_ - DueClock::kStep, Millis(0)));
  }
  // The wait from now until `due`, a value of column due_at.
  Millis due_in(Time due) const { return due - (wall_ + ahead_); }

  // Facts to announce once the transaction is committed, in this order.
  template <class F>
  void tell(F fact) {
    facts_.emplace_back(std::move(fact));
  }
  // Runs once the transaction is committed, to fill in results of a command. Small enough that std::function does not
  // allocate.
  template <class Action>
  void when_committed(Action action) {
    static_assert(sizeof action <= 2 * sizeof(void*));
    actions_.emplace_back(action);
  }

 private:
  friend class Writer;  // the only class that begins and ends the transaction

  void begin(const Batch& batch, bool gathers_rows);
  void notice_foreign_commits();
  Facts commit();  // durable on return
  void shorten_waits(Millis by);
  // False: the rollback failed, and the connection must not be used any more.
  bool rollback() noexcept;

  Database& db_;
  DueClock& due_clock_;
  ForeignNotice& foreign_;
  Statement begin_{db_, sql::kBegin}, commit_{db_, sql::kCommit}, rollback_{db_, sql::kRollback};
  Statement data_version_{db_, "PRAGMA data_version"};
  Statement add_to_counter_{db_, sql::kAddToCounter};
  Statement add_to_endpoint_count_{db_, sql::kAddToEndpointCount};

  Counters committed_;
  std::int64_t seen_version_ = 0;  // of the database's data
  DirectoryChanges directory_;
  RollupRows rollup_rows_{db_};
  RollupCounting rollup_{rollup_rows_};

  // State of the current transaction.
  Counters counters_;
  bool repeats_ = false, gathers_rows_ = false;
  Millis ahead_{0};
  Time wall_{};  // when it began
  Facts facts_;
  std::vector<std::function<void()>> actions_;
};

}  // namespace outboxd::sqlite
