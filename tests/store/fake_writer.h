// A StoreWriter that a test directs: it can be held at the door, and told to fail.
#pragma once

#include <functional>
#include <variant>
#include <vector>

#include "common/mutex.h"
#include "store/store.h"

namespace outboxd::test {

class FakeWriter final : public StoreWriter {
 public:
  // Called in apply() with the lock held; may throw what a store throws.
  std::function<void(const Batch&)> on_apply;
  // Facts of each commit.
  std::function<Facts(const Batch&)> facts;

  Applied apply(const Batch& batch) override {
    const MutexLock lock(mutex_);
    entered_ = true;
    changed_.notify_all();
    while (!open_) changed_.wait(mutex_);
    entered_ = false;
    ++calls_;
    if (on_apply) on_apply(batch);
    sizes_.push_back(batch.commands.size());
    Applied applied;
    for (const Command* command : batch.commands)
      applied.answers.push_back(
          std::visit([]<class C>(const C&) -> AnyAnswer { return typename C::Answer{}; }, *command));
    if (facts) applied.facts = facts(batch);
    return applied;
  }
  void maintain() override {}

  void shut() {
    const MutexLock lock(mutex_);
    open_ = false;
  }
  void open() {
    const MutexLock lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void await_entered() {
    const MutexLock lock(mutex_);
    while (!entered_) changed_.wait(mutex_);
  }
  std::vector<std::size_t> committed_sizes() {
    const MutexLock lock(mutex_);
    return sizes_;
  }
  int calls() {
    const MutexLock lock(mutex_);
    return calls_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool open_ OUTBOXD_GUARDED_BY(mutex_) = true;
  bool entered_ OUTBOXD_GUARDED_BY(mutex_) = false;
  int calls_ OUTBOXD_GUARDED_BY(mutex_) = 0;
  std::vector<std::size_t> sizes_ OUTBOXD_GUARDED_BY(mutex_);
};

}  // namespace outboxd::test
