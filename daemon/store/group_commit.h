// Group commit: the one thread that writes. Commands that arrive while a commit is under way share the next one; this,
// and not a weaker fsync, is where throughput comes from. Works with any StoreWriter.
//
// After each commit, on the writer thread: first its facts go to whoever must hear them (app/fact_router.h), then the
// completions run, in order of submission. So whoever is answered finds that everybody knows. Both must be short: hand
// on what is long.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "common/clock.h"
#include "store/store.h"

namespace outboxd {

class GroupCommit {
 public:
  struct Options {
    std::size_t max_batch = 1024;            // commands in one transaction
    std::size_t max_batch_bytes = 8u << 20;  // payload bytes in one transaction (one command may be larger)
    // Rows of one transaction (one command may be larger): how long it holds up those that wait for the next.
    std::size_t max_batch_rows = 2000;
    // Refusable commands (CommandTraits) waiting; beyond it submit() refuses them with kTooManyRequests.
    std::size_t queue = 8192;
    // Outcomes linger up to this long so that they share a commit with a request that someone is waiting for: at
    // moderate load that halves the commits, and no producer waits behind one of outcomes alone.
    Millis linger{2};
    Millis busy_limit{5000};  // a refusable command that could not be committed for this long: kUnavailable
    // After each commit, on the writer thread: how many commands it carried and how long it took.
    std::function<void(std::size_t commands, std::chrono::nanoseconds duration)> on_commit = nullptr;
  };
  using FactsHandler = std::function<void(Facts)>;
  // Called once, on the writer thread, when the store failed for good. It must not return to serving: no completion
  // runs after it.
  using FatalHandler = std::function<void(const std::string& what)>;

  GroupCommit(StoreWriter& writer, OwnerToken owner, const Clock& clock, Options options, FatalHandler fatal);
  ~GroupCommit();  // drain() and join
  GroupCommit(const GroupCommit&) = delete;

  // Before the first commit: who hears of facts.
  void tell(FactsHandler hear);
  void start();  // the thread. A simulation calls step() instead
  // Any thread. `done` always runs, exactly once (but after a fatal failure); on the caller's thread when the writer
  // has stopped. It gets the command back, and may take it apart.
  template <class C, class Completion>  // Completion: void(C& command, Result<C::Answer> answer)
  void submit(C command, Completion done) {
    enqueue(std::move(command),
            [done = std::move(done)](Command& finished, Result<AnyAnswer>& answer) mutable {
              auto& mine = std::get<C>(finished);
              if (!answer) return done(mine, tl::unexpected(std::move(answer.error())));
              done(mine, Result<typename C::Answer>(std::get<typename C::Answer>(std::move(*answer))));
            });
  }
  // Commits everything submitted so far and what comes meanwhile, then stops the thread. Submitting afterwards is
  // refused. A store that stays busy or full holds it up for busy_limit at most, and then what was kept is refused
  // too: an outcome that is lost this way makes its delivery due again.
  void drain();

  // Without the thread: commits the next batch of what was submitted. False: there was nothing to do.
  bool step();

  std::size_t queued() const;
  // Time since the writer last came round, busy or idle: for the watchdog.
  Millis since_progress() const;

 private:
  using Completion = std::function<void(Command&, Result<AnyAnswer>&)>;
  void enqueue(Command command, Completion completion);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace outboxd
