#include "runtime/event_loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace outboxd {
namespace {

// So that since_progress() can tell a stuck loop from an idle one.
constexpr auto kMaxWait = std::chrono::seconds(1);

// How much of each kind of work a round does. The time bounds what a round costs those who wait for it; the number keeps
// rounds short whose pieces are too small to be timed. Descriptors get the most, so that what is under way ends before
// more is begun: with a quarter of a millisecond for them too, answers waited behind thousands of connections that
// timers had made necessary, and the healthy endpoint's p99 was 300 ms.
constexpr int kPiecesARound = 64;
constexpr std::chrono::microseconds kForHandlers{2000};
constexpr std::chrono::microseconds kForTimers{250};
constexpr std::chrono::microseconds kForPosted{1000};

class Share {
 public:
  explicit Share(std::chrono::microseconds time) : time_(time) {}
  // True for the first piece, and until the share is used up.
  bool allows_another() {
    if (++pieces_ == 1) {
      end_ = std::chrono::steady_clock::now() + time_;
      return true;
    }
    return pieces_ <= kPiecesARound && std::chrono::steady_clock::now() < end_;
  }

 private:
  const std::chrono::microseconds time_;
  int pieces_ = 0;
  MonotonicTime end_{};
};

std::int64_t steady_millis(MonotonicTime t) {
  return std::chrono::duration_cast<Millis>(t.time_since_epoch()).count();
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// An fd may be closed and its number reused within one round of events: the generation tells events of the old one
// apart.
epoll_data_t pack(int fd, std::uint32_t generation) {
  epoll_data_t data;
  data.u64 = (std::uint64_t{generation} << 32) | static_cast<std::uint32_t>(fd);
  return data;
}

}  // namespace

struct EventLoop::FunctionWatcher final : FdWatcher {
  explicit FunctionWatcher(FdHandler f) : handler(std::move(f)) {}
  void on_ready(std::uint32_t epoll_events) override { handler(epoll_events); }
  FdHandler handler;
};

EventLoop::EventLoop()
    : epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      now_(std::chrono::steady_clock::now()),
      last_round_ms_(steady_millis(now_)) {
  if (epoll_fd_ < 0 || wake_fd_ < 0) fail("epoll_create1/eventfd");
  // Edge-triggered: each write wakes the loop once, and nobody has to read the counter.
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = pack(wake_fd_, 0)};
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) != 0) fail("epoll_ctl");
}

EventLoop::~EventLoop() {
  close(epoll_fd_);
  close(wake_fd_);
}

bool EventLoop::is_watched(int fd) const {
  return fd >= 0 && static_cast<std::size_t>(fd) < watches_.size() &&
         watches_[static_cast<std::size_t>(fd)].watcher != nullptr;
}

void EventLoop::watch(int fd, std::uint32_t events, FdWatcher& watcher) {
  watch(fd, events, watcher, nullptr);
}

void EventLoop::watch(int fd, std::uint32_t events, FdHandler handler) {
  auto owned = std::make_unique<FunctionWatcher>(std::move(handler));
  FunctionWatcher& watcher = *owned;
  watch(fd, events, watcher, std::move(owned));
}

void EventLoop::watch(int fd, std::uint32_t events, FdWatcher& watcher,
                      std::unique_ptr<FunctionWatcher> owned) {
  const bool added = !is_watched(fd);
  const std::uint32_t generation =
      added ? next_generation_++ : watches_[static_cast<std::size_t>(fd)].generation;
  epoll_event event{.events = events, .data = pack(fd, generation)};
  if (epoll_ctl(epoll_fd_, added ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0) {
    const int error = errno;
    if (!added) retire(watches_[static_cast<std::size_t>(fd)]);
    throw std::system_error(error, std::generic_category(), "epoll_ctl");
  }
  if (static_cast<std::size_t>(fd) >= watches_.size()) watches_.resize(static_cast<std::size_t>(fd) + 1);
  Watch& watch = watches_[static_cast<std::size_t>(fd)];
  retire(watch);
  watch.generation = generation;
  watch.watcher = &watcher;
  watch.owned = std::move(owned);
}

void EventLoop::change(int fd, std::uint32_t events) {
  if (!is_watched(fd)) return;
  epoll_event event{.events = events, .data = pack(fd, watches_[static_cast<std::size_t>(fd)].generation)};
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event) != 0) fail("epoll_ctl");
}

void EventLoop::unwatch(int fd) {
  if (!is_watched(fd)) return;
  retire(watches_[static_cast<std::size_t>(fd)]);
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);  // fails if fd is already closed, which has removed it
}

void EventLoop::retire(Watch& watch) {
  watch.watcher = nullptr;
  if (watch.owned) retired_.push_back(std::move(watch.owned));
}

EventLoop::TimerId EventLoop::call_at(MonotonicTime when, Task task) {
  return timers_.add(when, std::move(task));
}

void EventLoop::cancel(TimerId id) {
  timers_.cancel(id);
}

void EventLoop::post(Task task) {
  {
    const MutexLock lock(mutex_);
    posted_.push_back(std::move(task));
  }
  // A loop that is awake looks before it sleeps. Only the first one wakes it, so that a burst costs one system call.
  if (asleep_.exchange(false)) WakesTogether::wake(*this);
}

void EventLoop::wake() {
  eventfd_write(wake_fd_, 1);
}

void EventLoop::stop() {
  stopping_ = true;
  eventfd_write(wake_fd_, 1);
}

Millis EventLoop::since_progress() const {
  return Millis(steady_millis(std::chrono::steady_clock::now()) - last_round_ms_.load());
}

int EventLoop::wait_timeout() const {
  auto wait = std::chrono::ceil<Millis>(kMaxWait);
  if (!timers_.empty()) {
    const auto until = std::chrono::ceil<Millis>(timers_.first() - std::chrono::steady_clock::now());
    wait = std::clamp(until, Millis(0), wait);
  }
  return static_cast<int>(wait.count());
}

// Sleeps until there is something to do. Only looks when there is: then new events line up behind those of before.
void EventLoop::wait() {
  bool idle = taken_.empty();
  if (idle) {
    asleep_ = true;  // before the look: whoever posts after it sees this
    const MutexLock lock(mutex_);
    idle = posted_.empty();
  }
  if (!idle) asleep_ = false;
  const int n =
      epoll_wait(epoll_fd_, events_.data(), static_cast<int>(events_.size()), idle ? wait_timeout() : 0);
  asleep_ = false;
  if (n < 0 && errno != EINTR) fail("epoll_wait");
  found_ = std::max(n, 0);
  told_ = 0;
}

void EventLoop::run_handlers() {
  Share share(kForHandlers);
  while (told_ < found_ && share.allows_another()) {
    const epoll_event& event = events_[static_cast<std::size_t>(told_++)];
    const int fd = static_cast<int>(event.data.u64 & 0xFFFFFFFFu);
    if (!is_watched(fd)) continue;  // or it is wake_fd_
    const Watch& watch = watches_[static_cast<std::size_t>(fd)];
    if (watch.generation == event.data.u64 >> 32) watch.watcher->on_ready(event.events);
  }
}

void EventLoop::run_timers() {
  Share share(kForTimers);
  timers_.begin_round();
  while (timers_.has_due(now_) && share.allows_another()) timers_.take_first()();
  timers_.end_round();
}

// What is posted meanwhile waits for the next round. Returns whether there was anything.
bool EventLoop::run_posted(bool all) {
  {
    const MutexLock lock(mutex_);
    // One by one, because std::deque's insert() takes new memory each time.
    for (Task& task : posted_) taken_.push_back(std::move(task));
    posted_.clear();
  }
  if (taken_.empty()) return false;
  Share share(kForPosted);
  while (!taken_.empty() && (all || share.allows_another())) {
    const Task task = std::move(taken_.front());
    taken_.pop_front();
    task();
  }
  return true;
}

void EventLoop::run() {
  while (!stopping_) {
    if (told_ == found_) wait();
    now_ = std::chrono::steady_clock::now();
    last_round_ms_ = steady_millis(now_);
    run_handlers();
    retired_.clear();
    run_timers();
    retired_.clear();
    run_posted(false);
    retired_.clear();
    if (after_round_) after_round_();
  }
  run_posted(true);  // whoever called stop() may have posted before it
}

}  // namespace outboxd
