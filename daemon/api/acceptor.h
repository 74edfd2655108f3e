// Owns the listening sockets and accepts connections on them, in bounded bursts so that open connections get their turn
// in between. Pauses while the process has no file descriptors left. Belongs to the loop's thread; what happens on an
// accepted connection is not its concern.
#pragma once

#include <functional>
#include <vector>

#include "api/listeners.h"
#include "common/clock.h"
#include "runtime/event_loop.h"

namespace outboxd::api {

class Acceptor {
 public:
  // Takes the accepted socket, which is non-blocking.
  using OnConnection = std::function<void(int fd, const Listener& listener)>;

  Acceptor(EventLoop& loop, std::vector<Listener> listeners, OnConnection on_connection)
      : loop_(loop), listeners_(std::move(listeners)), on_connection_(std::move(on_connection)) {}
  ~Acceptor() { close(); }
  Acceptor(const Acceptor&) = delete;

  void start();
  void close();  // for good; removes the files of Unix sockets

 private:
  void accept_from(const Listener& listener);
  void pause(int error);

  EventLoop& loop_;
  std::vector<Listener> listeners_;
  const OnConnection on_connection_;
  bool paused_ = false;
  MonotonicTime pause_logged_{};
  EventLoop::TimerId resume_timer_{};
};

}  // namespace outboxd::api
