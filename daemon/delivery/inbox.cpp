#include "delivery/inbox.h"

#include <utility>

namespace outboxd {
namespace {

// Long enough to keep up with what handlers and timers may bring in a round of the event loop.
constexpr Millis kMaxTime{1};
constexpr std::size_t kKeptCapacity = 1024;  // memory for more is given back

}  // namespace

void Inbox::put(Entry entry) {
  {
    const MutexLock lock(mutex_);
    arrived_.push_back(std::move(entry));
    if (std::exchange(posted_, true)) return;
  }
  executor_.post([this] { work(); });
}

void Inbox::work() {
  if (next_ == entries_.size()) {
    entries_.clear();
    if (entries_.capacity() > kKeptCapacity) entries_ = {};
    next_ = 0;
    const MutexLock lock(mutex_);
    entries_.swap(arrived_);
  }
  const MonotonicTime end = clock_.monotonic() + kMaxTime;
  int pieces = 0;
  while (next_ < entries_.size() && pieces < max_pieces_ && (pieces == 0 || clock_.monotonic() < end)) {
    take_one();
    ++pieces;
  }
  {
    const MutexLock lock(mutex_);
    posted_ = next_ < entries_.size() || !arrived_.empty();
    if (!posted_) return;
  }
  executor_.post([this] { work(); });
}

void Inbox::take_one() {
  Entry& entry = entries_[next_];
  if (auto* facts = std::get_if<Facts>(&entry)) {
    if (next_fact_ < facts->size()) readers_.fact((*facts)[next_fact_++]);
    if (next_fact_ < facts->size()) return;
    next_fact_ = 0;
    ++next_;
    return;
  }
  ++next_;
  if (auto* answer = std::get_if<Answer>(&entry)) return readers_.answer(*answer);
  const Executor::Task task = std::move(std::get<Executor::Task>(entry));
  task();
}

}  // namespace outboxd
