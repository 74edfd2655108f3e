#include "store/sqlite/foreign_commits.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

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

ForeignCommits::ForeignCommits(const Location& location, Millis busy_timeout)
    : db_(location, Mode::kReader, busy_timeout, kCacheKib),
      interrupt_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (interrupt_ < 0)
    throw StoreError(StoreError::Kind::kCannotOpen, std::string("eventfd: ") + std::strerror(errno));
  if (location.is_on_disk()) watch_.emplace(folder_of(location.path), "");
}

ForeignCommits::~ForeignCommits() {
  close(interrupt_);
}

void ForeignCommits::interrupt() {
  const std::uint64_t one = 1;
  if (write(interrupt_, &one, sizeof one) < 0) {
    // Fails only when the counter is at its limit, and then it is readable anyway.
  }
}

bool ForeignCommits::wait(Millis timeout) {
  const auto deadline = Monotonic::now() + timeout;
  auto asking_until = Monotonic::time_point::min();
  while (true) {
    if (outbox_changed()) return true;
    const auto now = Monotonic::now();
    if (now >= deadline) return true;
    Millis pause = !watch_ || watch_->fd() < 0 ? kWithoutInotify
                   : now < asking_until        ? kAskEvery
                                               : kAskAnyway;
    pause = std::min(pause, std::chrono::ceil<Millis>(deadline - now));
    bool stirred = false;
    // While polling, inotify has nothing to add, and under load it would fire for each page written.
    if (sleep(pause, now >= asking_until, stirred)) return false;
    if (stirred) asking_until = Monotonic::now() + kAskFor;
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

bool ForeignCommits::sleep(Millis at_most, bool heed_inotify, bool& stirred) {
  const int inotify = watch_ ? watch_->fd() : -1;
  pollfd fds[2] = {{interrupt_, POLLIN, 0}, {inotify, POLLIN, 0}};
  const int ready = poll(fds, inotify >= 0 && heed_inotify ? 2 : 1, static_cast<int>(at_most.count()));
  if (ready <= 0) return false;  // EINTR too
  if (fds[0].revents != 0) {
    std::uint64_t count = 0;
    return read(interrupt_, &count, sizeof count) == sizeof count;
  }
  stirred = watch_ && watch_->drain();
  return false;
}

}  // namespace outboxd::sqlite
