#include "maintenance/backlog_watch.h"

#include <utility>

#include "telemetry/log.h"

namespace outboxd {

BacklogWatch::BacklogWatch(Executor& executor, Store& store, std::int64_t limit, Tell tell)
    : executor_(executor), store_(store), limit_(limit), tell_(std::move(tell)) {}

void BacklogWatch::start() {
  if (limit_ == 0) return;
  executor_.post([this] {
    if (!next_look_) look();
  });
}

void BacklogWatch::stop() {
  executor_.post([this] {
    if (next_look_) executor_.cancel(*std::exchange(next_look_, std::nullopt));
    high_ = false;
  });
}

void BacklogWatch::look() {
  next_look_ = executor_.call_at(executor_.now() + kInterval, [this] { look(); });
  try {
    if (!reader_) reader_ = store_.new_reader();
    judge(reader_->status().pending);
  } catch (const StoreError& error) {
    if (!error.may_try_again()) throw;
    log::warn("the backlog could not be read, trying again", {{"error", error.what()}});
  }
}

void BacklogWatch::judge(std::int64_t pending) {
  if (high_ ? pending >= (limit_ + 1) / 2 : pending < limit_) return;
  high_ = !high_;
  tell_(high_, pending, limit_);
}

}  // namespace outboxd
