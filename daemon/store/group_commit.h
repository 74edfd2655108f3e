// Group commit: the one thread that writes. Commands that arrive while a commit is under way share the next one.
// Throughput comes from this sharing, not from a weaker fsync. Works with any StoreWriter.
//
// Which commands a transaction takes is decided by command_queue.h, and how long it waits for more by commit_pacing.h.
//
// After each commit, on the writer thread, its facts go first to whoever must hear them (app/fact_router.h), then the
// completions run, in the order of the transaction. Whoever receives an answer can therefore rely on everyone else
// knowing. Both must be short: pass longer work to another thread. A loop to which several completions of one commit post
// is woken once.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "common/clock.h"
#include "store/commit_pacing.h"
#include "store/store.h"

namespace outboxd {

class GroupCommit {
 public:
  struct Options {
    std::size_t max_batch = 1024;            // commands in one transaction
    std::size_t max_batch_bytes = 8u << 20;  // payload bytes in one transaction (one command may be larger)
    // Rows written by one transaction (one command may be larger, and outcomes have their share beside it); limits how
    // long it delays those that wait for the next.
    std::size_t max_batch_rows = 2000;
    std::size_t outcome_share = 256;  // CommandQueue::Limits::share
    // How many refusable commands (CommandTraits) may wait; submit() refuses more with kTooManyRequests.
    std::size_t queue = 8192;
    // Outcomes wait up to this long to share a commit with a request that someone waits for. At moderate load this
    // halves the number of commits, and no producer has to wait behind a commit of outcomes alone.
    Millis linger{2};
    // The longest that a command which goes ahead (CommandTraits) waits for company, when company is likely. Zero: it is
    // committed at once.
    CommitPacing::Duration commit_delay = CommitPacing::kAutoDelay;
    Millis busy_limit{5000};  // a refusable command that waited this long is refused with kUnavailable
    // Called after each commit, on the writer thread, with the number of commands and the duration.
    std::function<void(std::size_t commands, std::chrono::nanoseconds duration)> on_commit = nullptr;
  };
  using FactsHandler = std::function<void(Facts)>;
  // Called once, on the writer thread, when the store has failed for good. It must not let the daemon go on serving: no
  // completion runs after it.
  using FatalHandler = std::function<void(const std::string& what)>;

  GroupCommit(StoreWriter& writer, OwnerToken owner, const Clock& clock, Options options, FatalHandler fatal);
  ~GroupCommit();  // drain() and join
  GroupCommit(const GroupCommit&) = delete;

  // Sets who hears the facts. To be called before the first commit.
  void tell(FactsHandler hear);
  void start();  // starts the thread; a simulation calls step() instead
  // Any thread. `done` runs exactly once, except after a fatal failure; once the writer has stopped it runs on the
  // caller's thread. It gets the command back and may move from it.
  template <class C, class Completion>  // Completion: void(C& command, Result<C::Answer> answer)
  void submit(C command, Completion done) {
    enqueue(std::move(command),
            [done = std::move(done)](Command& finished, Result<AnyAnswer>& answer) mutable {
              auto& mine = std::get<C>(finished);
              if (!answer) return done(mine, tl::unexpected(std::move(answer.error())));
              done(mine, Result<typename C::Answer>(std::get<typename C::Answer>(std::move(*answer))));
            });
  }
  // Commits everything submitted so far and in the meantime, then stops the thread. Later submissions are refused. A
  // store that stays busy or full delays it by busy_limit at most; then even commands that were kept are refused. An
  // outcome lost this way makes its delivery due again.
  void drain();

  // Without the thread: commits the next batch. False: there was nothing to do.
  bool step();

  std::size_t queued() const;
  // Time since the writer's last round, busy or idle: for the watchdog.
  Millis since_progress() const;

 private:
  using Completion = std::function<void(Command&, Result<AnyAnswer>&)>;
  void enqueue(Command command, Completion completion);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace outboxd
