// Carries out operators' batches (store/operator_batch.h) in the background: small steps, each an ordinary command that acts
// and stores the batch's place in one transaction, so that a batch goes on after a crash where it was. At each batch's own
// rate, all of them in turn, at the owner of partition 0. No thread of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/executor.h"
#include "store/group_commit.h"
#include "store/store.h"
#include "telemetry/metrics.h"

namespace outboxd {

// How many may be acted upon now: a token bucket whose burst is what the rate allows in a tenth of a second, at least one.
class BatchPace {
 public:
  explicit BatchPace(const RateLimit& rate);
  std::int64_t room(MonotonicTime now) const;
  MonotonicTime ready_at() const { return even_ - tolerance_; }  // when there is room for one
  void take(std::int64_t count, MonotonicTime now);

 private:
  std::chrono::nanoseconds interval_, tolerance_;
  MonotonicTime even_{};  // when the next one would be due at an even pace
};

class Batches {
 public:
  // Up to `limit` of what a batch has still to act upon, from `place` on (ingest/batch_targets.h).
  using Find = std::function<Result<BatchKeys>(StoreReader& reader, const OperatorBatch& batch,
                                               const std::string& place, int limit)>;
  // `executor` runs the steps; it and `commits` must end before this is destroyed.
  Batches(Executor& executor, Store& store, GroupCommit& commits, const Clock& clock,
          telemetry::Metrics& metrics, Find find);
  Batches(const Batches&) = delete;

  // Any thread. start() goes on with what the store holds, whoever began it; stop() after the step under way.
  void start();
  void stop();
  void hear(const BatchChanged& fact);

  static constexpr int kRows = 250;          // in a step at most: a few milliseconds
  static constexpr int kRowsCounted = 1000;  // counted in a step, of a batch that is not counted yet
  static constexpr Millis kPause{25};        // between two steps
  static constexpr Millis kMaxWait = std::chrono::seconds(5);  // after refusals

 private:
  struct Job {
    explicit Job(OperatorBatch stored);
    OperatorBatch batch;  // as stored
    std::string place;    // after `batch.place` there was nothing to act upon up to here
    BatchPace pace;
    // What was counted: everything before `batch.place` when it began, and from there to here.
    std::string counted_to;
    std::int64_t matched = 0;
  };

  void look();  // which batches run
  void turn();
  void turn_after(Millis wait);  // unless one comes earlier
  void step(Job& job, std::int64_t room);
  void count_on(Job& job);
  void submit(const Job& job, BatchKeys found);
  void stepped(const OperatorBatch& before, std::size_t keys, const Result<OperatorBatchPtr>& now);
  void try_later(const std::string& why);
  Job* find_job(const BatchId& id);

  Executor& executor_;
  Store& store_;
  GroupCommit& commits_;
  const Clock& clock_;
  telemetry::Metrics& metrics_;
  const Find find_;

  // Only for the executor's thread.
  std::unique_ptr<StoreReader> reader_;  // null: not opened yet
  std::vector<Job> jobs_;                // whose turn comes first
  bool started_ = false;
  bool stepping_ = false;  // a step is being committed
  std::optional<Executor::TimerId> next_turn_;
  std::uint64_t term_ = 0;  // counts starts and stops; what belongs to an earlier term is dropped
  Millis wait_{0};          // after the last refusal
};

}  // namespace outboxd
