#include "store/sqlite/foreign_notice.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "store/errors.h"

namespace outboxd::sqlite {
namespace {

constexpr int kBusy = 16;  // eight transactions

}  // namespace

ForeignNotice::ForeignNotice() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (fd_ < 0)
    throw StoreError(StoreError::Kind::kCannotOpen, std::string("eventfd: ") + std::strerror(errno));
}

ForeignNotice::~ForeignNotice() {
  close(fd_);
}

// A writer with something to do now and then is not relied on: what others commit would wait for its pauses.
void ForeignNotice::writer_at_work() {
  const auto now = std::chrono::steady_clock::now();
  const bool paused = now - std::exchange(last_at_work_, now) > kWriterIdle;
  without_pause_ = paused ? without_pause_ / 2 : std::min(without_pause_ + 1, 2 * kBusy);
  if (without_pause_ >= kBusy) looks_until_ = (now + kWriterIdle).time_since_epoch().count();
}

// Fails only when the counter is at its limit, and then it is readable anyway.
void ForeignNotice::ring() {
  eventfd_write(fd_, 1);
}

void ForeignNotice::interrupt() {
  interrupted_ = true;
  ring();
}

MonotonicTime ForeignNotice::writer_looks_until() const {
  return MonotonicTime(MonotonicTime::duration(looks_until_));
}

bool ForeignNotice::take() {
  eventfd_t count = 0;
  eventfd_read(fd_, &count);
  return interrupted_.exchange(false);
}

}  // namespace outboxd::sqlite
