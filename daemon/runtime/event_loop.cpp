#include "runtime/event_loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace outboxd {
namespace {

// So that since_progress() can tell a stuck loop from an idle one.
constexpr auto kMaxWait = std::chrono::seconds(1);

constexpr int kTimersARound = 16;

std::int64_t steady_millis(MonotonicTime t) {
  return std::chrono::duration_cast<Millis>(t.time_since_epoch()).count();
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// An fd may be closed and its number reused within one round of events: the generation tells events of the old one
// apart.
epoll_data_t pack(int fd, std::uint64_t generation) {
  epoll_data_t data;
  data.u64 = (generation << 32) | static_cast<std::uint32_t>(fd);
  return data;
}

}  // namespace

EventLoop::EventLoop()
    : epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      now_(std::chrono::steady_clock::now()),
      last_round_ms_(steady_millis(now_)) {
  if (epoll_fd_ < 0 || wake_fd_ < 0) fail("epoll_create1/eventfd");
  epoll_event event{.events = EPOLLIN, .data = pack(wake_fd_, 0)};
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) != 0) fail("epoll_ctl");
}

EventLoop::~EventLoop() {
  close(epoll_fd_);
  close(wake_fd_);
}

void EventLoop::watch(int fd, std::uint32_t events, FdHandler handler) {
  auto [it, added] = watches_.try_emplace(fd);
  const std::uint64_t generation = added ? next_generation_++ & 0xFFFFFFFFu : it->second->generation;
  it->second = std::make_shared<Watch>(Watch{generation, std::move(handler)});
  epoll_event event{.events = events, .data = pack(fd, generation)};
  if (epoll_ctl(epoll_fd_, added ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) == 0) return;
  const int error = errno;
  watches_.erase(it);
  throw std::system_error(error, std::generic_category(), "epoll_ctl");
}

void EventLoop::change(int fd, std::uint32_t events) {
  const auto it = watches_.find(fd);
  if (it == watches_.end()) return;
  epoll_event event{.events = events, .data = pack(fd, it->second->generation)};
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event) != 0) fail("epoll_ctl");
}

void EventLoop::unwatch(int fd) {
  if (watches_.erase(fd) == 0) return;
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);  // fails if fd is already closed, which has removed it
}

EventLoop::TimerId EventLoop::call_at(MonotonicTime when, Task task) {
  const TimerId id{when, next_timer_++};
  timers_.emplace(id, std::move(task));
  return id;
}

void EventLoop::cancel(TimerId id) {
  timers_.erase(id);
}

void EventLoop::post(Task task) {
  bool wake = false;
  {
    const MutexLock lock(mutex_);
    wake = posted_.empty() && !posted_runs_this_round();
    posted_.push_back(std::move(task));
  }
  // Only the first one wakes the loop, so a burst from other threads costs one system call; none when the loop itself is
  // about to look, which would otherwise be followed by a round without anything to do.
  if (wake) eventfd_write(wake_fd_, 1);
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
    const auto until =
        std::chrono::ceil<Millis>(timers_.begin()->first.first - std::chrono::steady_clock::now());
    wait = std::clamp(until, Millis(0), wait);
  }
  return static_cast<int>(wait.count());
}

void EventLoop::dispatch(int fd, std::uint64_t generation, std::uint32_t events) {
  if (fd == wake_fd_) {
    eventfd_t value = 0;
    eventfd_read(wake_fd_, &value);
    return;
  }
  const auto it = watches_.find(fd);
  if (it == watches_.end() || it->second->generation != generation) return;
  const auto keep = it->second;  // the handler may unwatch itself
  keep->handler(events);
}

void EventLoop::run_timers() {
  // Timers set meanwhile wait for the next round, so that a task that calls itself again at once cannot keep the others
  // from running. So do those beyond kTimersARound, so that ten thousand timers due together cannot keep the
  // descriptors waiting.
  const auto first_new = next_timer_;
  int left = kTimersARound;
  for (auto it = timers_.begin(); left > 0 && it != timers_.end() && it->first.first <= now_;) {
    const TimerId id = it->first;
    if (id.second < first_new) {
      const auto node = timers_.extract(it);
      node.mapped()();
      --left;
    }
    it = timers_.upper_bound(id);
  }
}

bool EventLoop::posted_runs_this_round() const {
  return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id() && dispatching_;
}

void EventLoop::run_posted() {
  std::vector<Task> tasks;
  dispatching_ = false;
  {
    const MutexLock lock(mutex_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) task();
}

void EventLoop::run() {
  std::array<epoll_event, 64> events;
  thread_ = std::this_thread::get_id();
  while (!stopping_) {
    const int n = epoll_wait(epoll_fd_, events.data(), events.size(), wait_timeout());
    if (n < 0 && errno != EINTR) fail("epoll_wait");
    now_ = std::chrono::steady_clock::now();
    last_round_ms_ = steady_millis(now_);
    dispatching_ = true;
    for (int i = 0; i < n; ++i) {
      const std::uint64_t data = events[i].data.u64;
      dispatch(static_cast<int>(data & 0xFFFFFFFFu), data >> 32, events[i].events);
    }
    run_timers();
    run_posted();
    if (after_round_) after_round_();
  }
  run_posted();  // whoever called stop() may have posted before it
}

}  // namespace outboxd
