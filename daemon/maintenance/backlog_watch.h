// Notices when deliveries pile up: more are pending than the operator wants to see, for whatever reason. Told once when that
// begins, and once when fewer than half of the limit are left, so that a backlog about the limit does not tell of itself again
// and again. Looks every 5 s, at the owner of partition 0, which tells anew what it finds when it begins to look. No thread of
// its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "common/executor.h"
#include "store/store.h"

namespace outboxd {

class BacklogWatch {
 public:
  using Tell = std::function<void(bool high, std::int64_t pending, std::int64_t limit)>;
  // `executor` must end before this is destroyed; `tell` runs on it. A limit of 0: nothing is ever high.
  BacklogWatch(Executor& executor, Store& store, std::int64_t limit, Tell tell);
  BacklogWatch(const BacklogWatch&) = delete;

  // Any thread.
  void start();
  void stop();

  static constexpr Millis kInterval = std::chrono::seconds(5);

 private:
  void look();
  void judge(std::int64_t pending);

  Executor& executor_;
  Store& store_;
  const std::int64_t limit_;
  const Tell tell_;
  // Only for the executor's thread.
  std::unique_ptr<StoreReader> reader_;  // null: not opened yet
  std::optional<Executor::TimerId> next_look_;
  bool high_ = false;
};

}  // namespace outboxd
