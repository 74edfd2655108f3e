// Waits for what others change in the store, and routes it; on a thread of its own.
#pragma once

#include <atomic>
#include <thread>

#include "app/fact_router.h"
#include "store/store.h"

namespace outboxd {

class ChangeWatch {
 public:
  ChangeWatch(Store& store, FactRouter& facts) : store_(store), facts_(facts) {}  // both outlive this
  ~ChangeWatch() { stop(); }
  ChangeWatch(const ChangeWatch&) = delete;

  void start();
  void stop();  // ends the thread

 private:
  void watch();

  Store& store_;
  FactRouter& facts_;
  std::atomic<bool> watching_{false};
  std::thread thread_;
};

}  // namespace outboxd
