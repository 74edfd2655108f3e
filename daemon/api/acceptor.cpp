#include "api/acceptor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "telemetry/log.h"

namespace outboxd::api {
namespace {

constexpr int kAcceptBurst = 64;
constexpr Millis kPause{100};  // without file descriptors, accepting again at once would spin
constexpr std::chrono::minutes kPauseLogInterval{1};

}  // namespace

void Acceptor::start() {
  for (const auto& listener : listeners_) {
    fcntl(listener.fd, F_SETFL, fcntl(listener.fd, F_GETFL) | O_NONBLOCK);
    const int on = 1;
    // Accepted sockets inherit it: one call per listener instead of one per connection.
    if (!listener.unix_socket) setsockopt(listener.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    loop_.watch(listener.fd, EPOLLIN, [this, &listener](std::uint32_t) { accept_from(listener); });
  }
}

void Acceptor::accept_from(const Listener& listener) {
  for (int i = 0; i < kAcceptBurst; ++i) {
    const int fd = accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      on_connection_(fd, listener);
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return pause(errno);
    }
  }
}

void Acceptor::pause(int error) {
  if (paused_) return;
  if (loop_.now() - pause_logged_ > kPauseLogInterval) {
    pause_logged_ = loop_.now();
    log::warn(
        "new connections have to wait: accepting one failed; raise LimitNOFILE if it is the number of open "
        "files",
        {{"error", std::strerror(error)}});
  }
  paused_ = true;
  for (const auto& listener : listeners_) loop_.change(listener.fd, 0);
  resume_timer_ = loop_.call_at(loop_.now() + kPause, [this] {
    paused_ = false;
    for (const auto& listener : listeners_) loop_.change(listener.fd, EPOLLIN);
  });
}

void Acceptor::close() {
  loop_.cancel(resume_timer_);
  for (const auto& listener : listeners_) {
    // Unlink the file first, while connecting still works: a successor that finds no file need not test whether it is
    // stale.
    if (!listener.unlink_path.empty()) unlink(listener.unlink_path.c_str());
    loop_.unwatch(listener.fd);
    ::close(listener.fd);
  }
  listeners_.clear();
}

}  // namespace outboxd::api
