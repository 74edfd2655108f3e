// The transaction over a batch of commands: what they have changed so far, and which facts follow its commit.
//
// Only the Writer begins and ends it. The parts that carry out commands (EventWriter, OutcomeWriter, ...) receive it with
// each command; they keep no state of their own except prepared statements. A command that is refused is refused before it
// has written anything or announced any fact. After an error the transaction is always rolled back whole.
//
// A part is a class whose members are
//
//   Result<C::Answer> execute(const C& command, Transaction& transaction);
//
// one for each kind of command that it carries out, and that is constructed with a Connection (and other parts). It is
// called within the transaction, after everything that commands before it in the batch have written was sent: it reads
// with its own statements what is there. Whatever it may not find by the key alone has its day in event_block.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "store/facts.h"
#include "store/postgresql/connection.h"
#include "store/postgresql/counter_rows.h"
#include "store/postgresql/directory_changes.h"
#include "store/postgresql/rollup_rows.h"
#include "store/postgresql/standing.h"
#include "store/rollup_counting.h"
#include "store/store.h"

namespace outboxd::postgresql {

tl::unexpected<Problem> missing(std::string_view what);  // kNotFound

// The clock of due times is the database's; it runs ahead of (or behind) this daemon's by Transaction::ahead().
inline constexpr Millis kClockTolerance{1000};
// No transaction takes longer: its statements and its locks are bounded.
inline constexpr Millis kLongestTransaction{20'000};

class Transaction {
 public:
  // `clock`: null, or what tests put in the place of the database's clock and the daemon's.
  Transaction(Connection& db, const Clock* clock);

  Counters& counters() { return counters_; }  // the changes of the batch so far
  DirectoryChanges& directory() { return directory_; }
  const DirectoryChanges& directory() const { return directory_; }
  // Must what was matched at that version be matched again? If this daemon does not know of changes that others have made,
  // it is told of them with this transaction's facts, and so before it matches again.
  bool is_stale(DirectoryVersion matched, const std::vector<FirstAttempt>& endpoints);
  RollupCounting& rollup() { return rollup_; }
  // May an outcome at this endpoint be recorded, and is what is due there told to this daemon?
  bool owns(EndpointSeq endpoint) const {
    return member_.records.test(static_cast<std::size_t>(partition_of(endpoint)));
  }

  // How many batches were made: after_batch of what changes its state now. CreateBatch holds the directory's lock alone,
  // so it sets this to the number that it gives.
  std::int64_t batches() const { return batches_; }
  void set_batches(std::int64_t number) { batches_ = number; }

  // The same commands were applied before and may be committed already. Each command first checks whether its effect is
  // there; if so, it is answered as the first time and its facts are announced again.
  bool repeats() const { return repeats_; }

  // Now, by the database's clock, and how far that is ahead of this daemon's.
  Time now() const { return now_; }
  Millis ahead() const { return now_ - wall_; }
  // For statements that tell the time themselves: coalesce($n, clock_millis()).
  std::optional<std::int64_t> now_for_tests() const {
    return clock_ ? millis(std::optional(now_)) : std::nullopt;
  }
  // The value of column due_at for `due`, as it was decided at `at`, both by this daemon's clock. If `at` lies in the
  // future, the clock was set back since, and the step is taken off.
  std::int64_t due_millis(Time due, Time at) const {
    return millis(due + ahead() - std::max(at - wall_ - kClockTolerance, Millis(0)));
  }
  // The wait from now until `due`, a value of column due_at.
  Millis due_in(Time due) const { return due - now_; }

  // Facts to announce once the transaction is committed, in this order.
  template <class F>
  void tell(F fact) {
    facts_.emplace_back(std::move(fact));
  }
  // Something is due at an endpoint of another daemon's, which finds it on disk. Told once for what is due now.
  void due_elsewhere(EndpointSeq endpoint, Millis due_in) {
    if (due_in > Millis(0) || elsewhere_.insert(endpoint).second)
      tell(DueOnDisk{.endpoint = endpoint, .due_in = std::max(due_in, Millis(0))});
  }
  // Runs once the transaction is committed, to fill in results of a command.
  template <class Action>
  void when_committed(Action action) {
    static_assert(sizeof action <= 2 * sizeof(void*));  // so that std::function does not allocate
    actions_.emplace_back(action);
  }

 private:
  friend class Writer;  // the only class that begins and ends the transaction

  // What a transaction begins with goes in one pipeline with what its first commands look up. `member` may have no token:
  // then nothing is owned. hear() throws Fenced if the member's row is gone.
  struct Fenced {};
  void ask(Pipeline& first, const Batch& batch, const Standing::Now& member);
  void hear(const Pipeline& first);
  // Likewise its end. Durable when the pipeline has run; then committed().
  void before_commit() { rollup_.write(); }
  void ask_commit(Pipeline& last);
  Facts committed();
  bool is_committing() const { return committing_; }
  // The version from which on this daemon is to be told what others have changed.
  std::optional<DirectoryVersion> behind_since() const { return behind_since_; }
  void rolled_back() { committing_ = false; }

  // Those of a whole batch. The index of its fact, of which more is known when what was gathered is written.
  std::size_t tell_outcome(OutcomeRecorded fact) {
    facts_.emplace_back(std::move(fact));
    return facts_.size() - 1;
  }
  friend class OutcomeWriter;
  void promoted(std::size_t fact) { std::get<OutcomeRecorded>(facts_[fact]).promoted = true; }

  const Clock* const clock_;
  Statement begin_, guard_, guard_alone_, enter_, enter_alone_, slotless_, state_, changes_;
  Statement set_directory_, commit_;
  CounterRows counter_rows_;
  RollupRows rollup_rows_;
  RollupCounting rollup_;

  // State of the current transaction.
  Standing::Now member_;
  int slot_ = 0;
  Counters counters_;
  DirectoryChanges directory_;
  std::optional<DirectoryVersion> behind_since_;
  std::int64_t batches_ = 0, batches_before_ = 0;
  bool repeats_ = false, committing_ = false;
  std::size_t state_at_ = 0;
  std::optional<std::size_t> guard_at_, changes_at_;
  Time now_{}, wall_{};  // when it began
  Facts facts_;
  std::set<EndpointSeq> elsewhere_;  // told of
  std::vector<std::function<void()>> actions_;
};

}  // namespace outboxd::postgresql
