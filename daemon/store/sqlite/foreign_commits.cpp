#include "store/sqlite/foreign_commits.h"

#include <poll.h>

#include <algorithm>

#include "store/sqlite/file_lock.h"

namespace outboxd::sqlite {
namespace {

using Monotonic = std::chrono::steady_clock;

constexpr int kCacheKib = 64;
constexpr Millis kAskEvery{1};
// After inotify fired; the slowest commit measured became visible after 39 ms.
constexpr Millis kAskFor{100};
constexpr Millis kAskAnyway{250};
constexpr Millis kWithoutInotify{5};  // polling interval when the system gives us no inotify instance

}  // namespace

ForeignCommits::ForeignCommits(const Location& location, Millis busy_timeout, ForeignNotice& notice)
    : db_(location, Mode::kReader, busy_timeout, kCacheKib), notice_(notice) {
  if (location.is_on_disk()) watch_.emplace(folder_of(location.path), "");
}

bool ForeignCommits::wait(Millis timeout) {
  const auto deadline = Monotonic::now() + timeout;
  auto asking_until = Monotonic::time_point::min();
  while (true) {
    if (outbox_changed()) return true;
    const auto now = Monotonic::now();
    if (now >= deadline) return true;
    if (now < notice_.writer_looks_until()) {
      if (leave_to_writer(deadline)) return false;
      continue;
    }
    const Millis pause = !watch_ || watch_->fd() < 0 ? kWithoutInotify
                         : now < asking_until        ? kAskEvery
                                                     : kAskAnyway;
    bool stirred = false;
    // While polling, inotify has nothing to add, and under load it would fire for each page written.
    if (sleep(std::min(now + pause, deadline), now >= asking_until, stirred)) return false;
    if (stirred) asking_until = Monotonic::now() + kAskFor;
  }
}

// Until the writer rings, or has not been at work for a while: then someone may have committed since it last looked.
bool ForeignCommits::leave_to_writer(MonotonicTime deadline) {
  while (true) {
    const auto until = std::min(deadline, notice_.writer_looks_until());
    if (Monotonic::now() >= until) return false;
    bool rung = false;
    if (sleep(until, false, rung)) return true;
    if (rung) return false;
  }
}

bool ForeignCommits::outbox_changed() {
  try {
    Cursor version(data_version_);
    if (!version.next() || version.integer(0) == seen_version_) return false;
    const std::int64_t now = version.integer(0);
    Cursor row(outbox_has_waiting_);
    const bool waiting = row.next();
    seen_version_ = now;
    return waiting;
  } catch (const StoreError& error) {
    if (error.kind != StoreError::Kind::kBusy) throw;
    return false;  // asked again soon
  }
}

bool ForeignCommits::sleep(MonotonicTime until, bool heed_inotify, bool& stirred) {
  const auto left = std::max(until - Monotonic::now(), Monotonic::duration(0));
  const auto whole = std::chrono::floor<std::chrono::seconds>(left);
  const timespec at_most{whole.count(), std::chrono::nanoseconds(left - whole).count()};
  const int inotify = watch_ ? watch_->fd() : -1;
  pollfd fds[2] = {{notice_.fd(), POLLIN, 0}, {inotify, POLLIN, 0}};
  const int ready = ppoll(fds, inotify >= 0 && heed_inotify ? 2 : 1, &at_most, nullptr);
  if (ready <= 0) return false;  // EINTR too
  stirred = true;
  if (fds[0].revents != 0) return notice_.take();
  watch_->drain();
  return false;
}

}  // namespace outboxd::sqlite
