// Reads the backlog of lanes, and expired deliveries, from the store. It has an executor of its own, so that delivery
// never waits for the disk.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "common/executor.h"
#include "delivery/scheduler.h"
#include "store/store.h"

namespace outboxd {

class BacklogReader {
 public:
  struct Callbacks {  // called on the executor
    std::function<void(EndpointSeq, DueWindow)> found;
    std::function<void(std::vector<DueDelivery>)> expired;
  };
  // `executor` must end before this is destroyed.
  BacklogReader(Executor& executor, std::unique_ptr<StoreReader> reader, const Clock& clock,
                Callbacks callbacks)
      : executor_(executor), reader_(std::move(reader)), clock_(clock), callbacks_(std::move(callbacks)) {}
  BacklogReader(const BacklogReader&) = delete;

  // Any thread. The caller bounds the number of reads under way (Scheduler::Options::max_fetches).
  void ask(std::vector<Decisions::Fetch> fetches, std::optional<Decisions::FindExpired> expired);

 private:
  void read(const Decisions::Fetch& fetch);
  void read(const Decisions::FindExpired& wanted);

  Executor& executor_;
  std::unique_ptr<StoreReader> reader_;
  const Clock& clock_;
  const Callbacks callbacks_;
};

}  // namespace outboxd
