// Accepts connections on the listening sockets, a burst at a time so that the connections that are there get their
// turn, and pauses when the process has no file descriptors left. Owns the listening sockets. Belongs to the loop's
// thread; what becomes of a connection is none of its business.
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
