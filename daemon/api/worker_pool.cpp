#include "api/worker_pool.h"

#include <limits>

#include "store/fail_stop.h"

namespace outboxd::api {

WorkerPool::~WorkerPool() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void WorkerPool::start(int workers) {
  for (int i = 0; i < workers; ++i) threads_.push_back(start_thread("api worker", [this] { run(); }));
}

bool WorkerPool::submit(const Item& item) {
  return put(item, max_queue_);
}

void WorkerPool::resume(const Item& item) {
  put(item, std::numeric_limits<std::size_t>::max());
}

bool WorkerPool::put(const Item& item, std::size_t max_queue) {
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    if (queue_.size() >= max_queue) return false;
    queue_.push_back(item);
    wake = sleeping_ > 0;  // a busy worker comes back by itself, without a system call
  }
  if (wake) wake_.notify_one();
  return true;
}

void WorkerPool::run() {
  MutexLock lock(mutex_);
  while (true) {
    if (queue_.empty() && !stopping_) {
      ++sleeping_;
      while (queue_.empty() && !stopping_) wake_.wait(mutex_);
      --sleeping_;
    }
    if (stopping_) return;
    Item item = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work_(item);
    item.reset();  // outside the lock: this may be the last reference
    lock.lock();
  }
}

}  // namespace outboxd::api
