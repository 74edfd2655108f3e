// The state of a simulated world of the core (core_world.h), shared by the files that act on it.
#pragma once

#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "simulation/core_attempts.h"
#include "simulation/core_daemon.h"
#include "simulation/core_ledger.h"
#include "simulation/core_network.h"
#include "simulation/core_tables.h"
#include "simulation/core_world.h"
#include "simulation/memory_vfs.h"
#include "simulation/shared_store.h"

namespace outboxd::simulation {

class CoreWorld final : private SharedStore::Watch {
 public:
  explicit CoreWorld(std::uint64_t seed);
  ~CoreWorld() override;

  CoreReport run(std::int64_t steps);

 private:
  // ---- chance and time
  bool chance(double p) { return static_cast<double>(random_() >> 11) * 0x1p-53 < p; }
  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }
  Millis some(int most) { return Millis(pick(most + 1)); }
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all.at(static_cast<std::size_t>(pick(static_cast<int>(all.size()))));
  }
  MonotonicTime now() const { return clock_.monotonic(); }
  // With OUTBOXD_LOG, prints what happens on stderr.
  void note(const std::string& what) const;
  Ledger::Fail fail() {
    return [this](const std::string& what) { violation(what); };
  }

  // ---- steps (core_world.cpp)
  void step();
  bool run_something();
  void let_time_pass();
  void check();
  void check_directory(CoreDaemon& of);
  void settle();
  bool is_something_to_come();
  std::string unsettled();

  // ---- daemons (core_lives.cpp)
  CoreDaemon* daemon(int number) { return daemons_.at(static_cast<std::size_t>(number)).get(); }
  CoreDaemon* any_daemon();  // null: none is up and serves
  void start_daemon(int number);
  void kill(int number);
  void reopen_store(bool power_cut);
  void look_after_daemons();
  void begin_stop();
  void move_partitions();
  void take_over();
  void give_what_nobody_has();

  // ---- what comes in, and who meddles (core_actions.cpp)
  void act();
  void produce_over_http();
  void produce_over_sql();
  EventDraft draft();
  void answered(int number, const Result<std::vector<AcceptedEvent>>& accepted);
  void operate();
  void create_endpoint(CoreDaemon& at);
  void create_again(CoreDaemon& at);
  void update_endpoint(CoreDaemon& at, const EndpointPtr& endpoint);
  void set_state(CoreDaemon& at, const EndpointPtr& endpoint, EndpointState state);
  void change_delivery(CoreDaemon& at);
  void meddle_with_fan_out();
  void meddle_with_read();
  void meddle_with_batch();
  void remove_and_fill_disk();
  void answered_gone(int number, EndpointSeq endpoint);
  void replay_event(CoreDaemon& at);
  void make_batch(CoreDaemon& at);
  void cancel_batch(CoreDaemon& at);
  void erase_payload(CoreDaemon& at);
  void erase_some(CoreDaemon& at, ErasePayload step);
  void disturb();
  void resume_everything();
  Endpoint new_endpoint();
  EndpointPtr any_endpoint(CoreDaemon& at);
  template <class C>
  void order(CoreDaemon& at, C command);

  // ---- SharedStore::Watch
  void committed(int number, std::int64_t commit, const Batch& batch, const Applied& applied) override;
  void uncertain(const Batch& batch) override { ledger_.uncertain(batch); }
  void violation(const std::string& what) override {
    if (violation_.empty()) violation_ = what;
    note("violation: " + what);
  }

  const bool traced_ = std::getenv("OUTBOXD_LOG") != nullptr;
  std::mt19937_64 random_;
  ManualClock clock_;
  MemoryDisk disk_;
  CoreTables tables_;
  SharedStore store_;
  Ledger ledger_;
  CoreAttempts attempts_;
  SimulatedNetwork network_;
  UuidGenerator ids_;  // of operators
  int members_ = 1;
  std::array<std::unique_ptr<CoreDaemon>, kMaxDaemons> daemons_;
  std::array<MonotonicTime, kMaxDaemons> start_at_{};
  std::array<MonotonicTime, kMaxDaemons> stop_by_{};
  bool calm_ = false;  // only the daemons act
  bool strict_policy_ = true;
  bool machine_failed_ = false;
  MonotonicTime disturbed_until_{};
  std::map<std::string, EventDraft> keyed_;  // what was last sent with each idempotency key
  std::array<int, kMaxDaemons> requests_{};  // requests over HTTP that are not answered yet
  std::int64_t payloads_ = 0, changes_ = 0;
  std::string violation_;
  CoreReport report_;
};

}  // namespace outboxd::simulation
