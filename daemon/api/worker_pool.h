// A few threads that run handlers, fed by a bounded queue. Handlers must not block for long: a request that
// waits (for a commit) is answered later, and its worker is free meanwhile.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "api/pending_exchange.h"
#include "common/mutex.h"

namespace outboxd::api {

class WorkerPool {
 public:
  using Item = std::shared_ptr<PendingExchange>;
  using Work = std::function<void(const Item&)>;  // must not throw

  WorkerPool(std::size_t max_queue, Work work) : max_queue_(max_queue), work_(std::move(work)) {}
  ~WorkerPool();  // waits for what the workers are doing; drops what is still queued
  WorkerPool(const WorkerPool&) = delete;

  void start(int workers);
  bool submit(const Item& item);  // false: the queue is full
  // For a request that was admitted before: it is queued however full the queue is. Each request is queued once at a
  // time.
  void resume(const Item& item);

 private:
  bool put(const Item& item, std::size_t max_queue);
  void run();

  const std::size_t max_queue_;
  const Work work_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<Item> queue_ OUTBOXD_GUARDED_BY(mutex_);
  int sleeping_ OUTBOXD_GUARDED_BY(mutex_) = 0;
  bool stopping_ OUTBOXD_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace outboxd::api
