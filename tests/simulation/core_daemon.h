// One daemon of a simulated world: what app/app.cpp wires, without threads, sockets and the API. Each of its threads is
// a part that takes a step when the world says so.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <random>

#include "api/attempt_feed.h"
#include "app/fact_router.h"
#include "delivery/delivery_engine.h"
#include "ingest/batch_targets.h"
#include "ingest/ingest.h"
#include "simulation/core_attempts.h"
#include "simulation/core_network.h"
#include "simulation/shared_store.h"
#include "simulation/step_executor.h"
#include "telemetry/metrics.h"

namespace outboxd::simulation {

class CoreDaemon {
 public:
  struct World {
    const Clock& clock;
    std::mt19937_64& random;
    SharedStore& store;
    SimulatedNetwork& network;
    CoreAttempts& attempts;
    Ledger::Fail fail, note;
    bool strict_policy;
    std::int64_t commits;  // how many the store has made until now
  };
  CoreDaemon(const World& world, int number);
  ~CoreDaemon();  // kill -9
  CoreDaemon(const CoreDaemon&) = delete;

  // Its threads.
  enum class Part { kCommits, kDelivery, kBacklog, kBackground, kMain, kChanges };
  static constexpr int kParts = 6;
  bool has_work(Part part) const;
  bool is_reading() const { return delivery_loop_.keeps_back(); }  // the backlog
  void run_if_able(Part part) {
    if (has_work(part)) run(part);
  }
  void run(Part part);  // when the store fails, has_failed() becomes true
  void stall(Part part, Millis time);
  std::optional<MonotonicTime> next() const;  // when the next thing that is not due yet becomes due

  bool has_failed() const { return failed_; }
  void fail() { failed_ = true; }

  // The graceful stop begins, and is over when the parts have taken their steps; then call finish().
  void stop();
  bool is_stopping() const { return stopping_; }
  bool has_stopped() const { return engine_stopped_ && commits_->queued() == 0; }
  void finish();

  // What the API calls.
  Ingest& ingest() { return ingest_; }
  GroupCommit& commits() { return *commits_; }
  EndpointDirectory& directory() { return directory_; }
  UuidGenerator& ids() { return ids_; }
  Retention& retention() { return retention_; }
  void set_policy(bool strict);

  void committed(std::int64_t number, const Applied& applied);  // announces the facts that must be heard next
  // Whoever gets an answer must find that everybody has heard the facts of its commit.
  bool everybody_knows() const { return unheard_ == 0; }
  bool knows_everything() const { return everybody_knows() && !world_.store.has_hint(number_); }
  int number() const { return number_; }

 private:
  void when_heard(std::function<void()> task);
  void hear(Facts facts);
  void route_hint();
  void step_commits();
  void read_backlog();
  StepExecutor* executor_of(Part part);
  const StepExecutor* executor_of(Part part) const {
    return const_cast<CoreDaemon*>(this)->executor_of(part);
  }

  const World world_;
  const int number_;
  UuidGenerator ids_;
  telemetry::Metrics metrics_;
  api::AttemptFeed attempt_feed_;
  StepExecutor delivery_loop_, backlog_loop_, background_loop_, main_loop_;
  const std::unique_ptr<Store> store_;
  std::unique_ptr<GroupCommit> commits_;  // ends first: what waits there may still be handed to the others
  EndpointDirectory directory_;
  RemovedEndpoints removed_;
  Retention retention_;
  TypeCounts type_counts_;
  const std::unique_ptr<Sender> sender_;
  DeliveryEngine engine_;
  FanOut fan_out_;
  BatchTargets batch_targets_;
  Batches batches_;
  Ingest ingest_;
  OutboxReader outbox_;
  OperationalEvents operational_events_;
  BacklogWatch backlog_;
  FactRouter router_;
  std::array<MonotonicTime, kParts> stalled_until_{};
  MonotonicTime next_look_{};  // the next look for changes by others
  std::int64_t unheard_ = 0;   // the commit whose facts have not been heard yet; 0: none
  std::size_t facts_ = 0;      // how many facts those are
  bool failed_ = false, stopping_ = false, engine_stopped_ = false;
};

}  // namespace outboxd::simulation
