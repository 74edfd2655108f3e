// The thread that reads lanes' backlog from the store, and what has expired there, so that the delivery loop never
// waits for the disk.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "delivery/scheduler.h"
#include "store/store.h"

namespace outboxd {

class BacklogReader {
 public:
  struct Callbacks {  // called on this thread
    std::function<void(EndpointSeq, DueWindow)> found;
    std::function<void(std::vector<DueDelivery>)> expired;
  };
  BacklogReader(std::unique_ptr<StoreReader> reader, const Clock& clock, Callbacks callbacks);
  ~BacklogReader();
  BacklogReader(const BacklogReader&) = delete;

  void ask(std::vector<Decisions::Fetch> fetches, std::optional<Decisions::FindExpired> expired);

 private:
  void run();
  DueWindow read(const Decisions::Fetch& fetch);
  std::vector<DueDelivery> read(const Decisions::FindExpired& wanted);

  std::unique_ptr<StoreReader> reader_;
  const Clock& clock_;
  const Callbacks callbacks_;
  std::mutex mutex_;
  std::condition_variable asked_;
  std::deque<Decisions::Fetch> queue_;  // guarded by mutex_; bounded by Scheduler::Options::max_fetches
  std::optional<Decisions::FindExpired> expired_;  // guarded by mutex_
  bool stopping_ = false;                          // guarded by mutex_
  std::thread thread_;
};

}  // namespace outboxd
