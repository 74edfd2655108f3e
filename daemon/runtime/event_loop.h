// One thread's event loop over epoll: file descriptors, timers, and work posted from other threads. Everything except
// post(), stop() and since_progress() may be called only on the loop's own thread, or before run().
//
// A round does a bounded piece of each kind of work: handlers of ready descriptors, then due timers, then posted work. It
// goes on to the next kind after 64 pieces or that kind's share of time, but does at least one piece of each. What is
// left comes first in the next round, in the same order. So ten thousand timers that are due together, or as much posted
// work, do not keep a descriptor waiting for longer than a few pieces of work.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "common/executor.h"
#include "common/mutex.h"
#include "runtime/timer_queue.h"

namespace outboxd {

// Whoever waits for a descriptor.
class FdWatcher {
 public:
  // The descriptor is ready for these (EPOLLIN ...). It may unwatch the descriptor, and destroy the watcher.
  virtual void on_ready(std::uint32_t epoll_events) = 0;

 protected:
  ~FdWatcher() = default;
};

class EventLoop : public Executor {
 public:
  using FdHandler = std::function<void(std::uint32_t epoll_events)>;

  EventLoop();
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;

  // Tells `watcher`, which lives until unwatch(), when `fd` is ready for `events` (EPOLLIN ...; level-triggered unless
  // EPOLLET). A second call for the same fd replaces both. A watcher may watch and unwatch any fd, its own included.
  void watch(int fd, std::uint32_t events, FdWatcher& watcher);
  // The same with a function, at the price of an allocation.
  void watch(int fd, std::uint32_t events, FdHandler handler);
  void change(int fd, std::uint32_t events);  // for a watched fd
  void unwatch(int fd);                       // before closing it

  TimerId call_at(MonotonicTime when, Task task) override;
  void cancel(TimerId id) override;

  void post(Task task) override;
  void run();   // until stop()
  void stop();  // any thread; final. Tasks posted before it still run
  // Sets the task to run after each round of handlers, timers and posted work: the place to act once on many events.
  void after_each_round(Task task) { after_round_ = std::move(task); }

  MonotonicTime now() const override { return now_; }  // updated once per round
  // Any thread. Time since the loop's last round; an idle loop does a round at least once a second.
  Millis since_progress() const;

 private:
  struct FunctionWatcher;
  struct Watch {
    std::uint32_t generation = 0;
    FdWatcher* watcher = nullptr;            // null: not watched
    std::unique_ptr<FunctionWatcher> owned;  // null: the watcher is somebody else's
  };
  void watch(int fd, std::uint32_t events, FdWatcher& watcher, std::unique_ptr<FunctionWatcher> owned);
  bool is_watched(int fd) const;
  void retire(Watch& watch);
  void wake() override;
  void wait();
  int wait_timeout() const;
  void run_handlers();
  void run_timers();
  bool run_posted(bool all);

  int epoll_fd_;
  int wake_fd_;
  std::vector<Watch> watches_;  // by fd
  std::uint32_t next_generation_ = 1;
  // Handlers that were replaced or unwatched while one of them may be running.
  std::vector<std::unique_ptr<FunctionWatcher>> retired_;
  // What the last wait has found, and how much of it has been told.
  std::array<epoll_event, 64> events_;
  int found_ = 0, told_ = 0;
  TimerQueue timers_;
  Task after_round_;
  MonotonicTime now_;
  std::atomic<std::int64_t> last_round_ms_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> asleep_{false};  // or about to be: whoever posts has to wake it
  std::deque<Task> taken_;           // from posted_, in order
  Mutex mutex_;
  std::vector<Task> posted_ OUTBOXD_GUARDED_BY(mutex_);
};

}  // namespace outboxd
