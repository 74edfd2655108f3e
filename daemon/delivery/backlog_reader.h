// The thread that reads lanes' backlog from the store, so that the delivery loop never waits for the disk.
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
  using Found = std::function<void(EndpointSeq, DueWindow)>;  // called on this thread
  BacklogReader(std::unique_ptr<StoreReader> reader, const Clock& clock, Found found);
  ~BacklogReader();
  BacklogReader(const BacklogReader&) = delete;

  void ask(std::vector<Decisions::Fetch> fetches);

 private:
  void run();
  DueWindow read(const Decisions::Fetch& fetch);

  std::unique_ptr<StoreReader> reader_;
  const Clock& clock_;
  Found found_;
  std::mutex mutex_;
  std::condition_variable asked_;
  std::deque<Decisions::Fetch> queue_;  // guarded by mutex_; bounded by Scheduler::Options::max_fetches
  bool stopping_ = false;               // guarded by mutex_
  std::thread thread_;
};

}  // namespace outboxd
