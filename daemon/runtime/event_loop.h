// One thread's event loop over epoll: file descriptors, timers, and work posted from other threads. Everything except
// post(), stop() and since_progress() may be called only on the loop's own thread, or before run().
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/executor.h"
#include "common/mutex.h"

namespace outboxd {

class EventLoop : public Executor {
 public:
  using FdHandler = std::function<void(std::uint32_t epoll_events)>;

  EventLoop();
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;

  // Calls `handler` when `fd` is ready for `events` (EPOLLIN ...; level-triggered unless EPOLLET). A second call for
  // the same fd replaces both. A handler may watch and unwatch any fd, its own included.
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
  struct Watch {
    std::uint64_t generation;
    FdHandler handler;
  };
  void dispatch(int fd, std::uint64_t generation, std::uint32_t events);
  int wait_timeout() const;
  void run_timers();
  void run_posted();
  bool posted_runs_this_round() const;

  int epoll_fd_;
  int wake_fd_;
  std::uint64_t next_generation_ = 1;
  std::unordered_map<int, std::shared_ptr<Watch>> watches_;
  std::map<TimerId, Task> timers_;
  std::uint64_t next_timer_ = 1;
  Task after_round_;
  MonotonicTime now_;
  std::atomic<std::int64_t> last_round_ms_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::thread::id> thread_{};  // that runs it
  bool dispatching_ = false;               // handlers and timers; on that thread only
  Mutex mutex_;
  std::vector<Task> posted_ OUTBOXD_GUARDED_BY(mutex_);
};

}  // namespace outboxd
