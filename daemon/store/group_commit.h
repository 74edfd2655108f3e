// Group commit: the one thread that writes. Commands that arrive while a commit is under way share the next
// one; this, and not a weaker fsync, is where throughput comes from. Works with any StoreWriter.
//
// Completions run on the writer thread, in order of submission, after the commit (or the refusal) is certain.
// They must be short: hand on what is long.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "store/store.h"

namespace outboxd {

class GroupCommit {
 public:
  struct Options {
    std::size_t max_batch = 1024;            // commands in one transaction
    std::size_t max_batch_bytes = 8u << 20;  // payload bytes in one transaction (one command may be larger)
    // Rows of one transaction (one command may be larger): how long it holds up those that wait for the next.
    std::size_t max_batch_rows = 2000;
    std::size_t queue =
        8192;  // refusable commands (CommandTraits) waiting; beyond it submit() refuses them with kTooManyRequests
    // An outcome that nobody waits for may wait so long for a command that somebody does wait for, and share its
    // commit: at moderate load that halves the commits, and no producer waits behind one of outcomes alone.
    Millis outcome_patience{2};
    Millis busy_limit{5000};  // a refusable command that could not be committed for this long: kUnavailable
    // After each commit, on the writer thread: how many commands it carried and how long it took.
    std::function<void(std::size_t commands, std::chrono::nanoseconds duration)> on_commit = nullptr;
  };
  using Completion = std::function<void(Write&)>;
  // Called once, on the writer thread, when the store failed for good. It must not return to serving: no
  // completion runs after it.
  using FatalHandler = std::function<void(const std::string& what)>;

  GroupCommit(StoreWriter& writer, Options options, FatalHandler fatal);
  ~GroupCommit();  // drain() and join
  GroupCommit(const GroupCommit&) = delete;

  void start();
  // Any thread. The completion always runs, exactly once (but after a fatal failure); on the caller's thread
  // when the writer has stopped.
  void submit(Command command, Completion completion);
  // Commits everything submitted so far and what comes meanwhile, then stops the thread. Submitting
  // afterwards is refused. A store that stays busy or full holds it up for busy_limit at most, and then what was
  // kept is refused too: an outcome that is lost this way makes its delivery due again.
  void drain();

  std::size_t queued() const;
  // Time since the writer last came round, busy or idle: for the watchdog.
  Millis since_progress() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace outboxd
