// A StoreWriter that a test directs: it can be held at the door, and told to fail.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "store/store.h"

namespace outboxd::test {

class FakeWriter final : public StoreWriter {
 public:
  // Called in apply() with the lock held; may throw what a store throws.
  std::function<void(std::span<Write*>)> on_apply;

  void apply(std::span<Write*> batch) override {
    std::unique_lock lock(mutex_);
    entered_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    entered_ = false;
    ++calls_;
    if (on_apply) on_apply(batch);
    sizes_.push_back(batch.size());
  }
  void tidy() override {}

  void shut() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void await_entered() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return entered_; });
  }
  std::vector<std::size_t> committed_sizes() {
    const std::lock_guard lock(mutex_);
    return sizes_;
  }
  int calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  bool entered_ = false;
  int calls_ = 0;
  std::vector<std::size_t> sizes_;
};

}  // namespace outboxd::test
