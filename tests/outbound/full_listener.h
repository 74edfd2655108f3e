// A listener whose queue is full: the kernel drops further SYNs, so that connecting to it hangs.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <vector>

namespace outboxd::test {

class FullListener {
 public:
  explicit FullListener(const char* host = "127.0.0.1", std::uint16_t port = 0) {
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    v4.sin_family = AF_INET;
    v6.sin6_family = AF_INET6;
    v4.sin_port = v6.sin6_port = htons(port);
    const bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
    inet_pton(AF_INET6, host, &v6.sin6_addr);
    auto* const name = is_v4 ? reinterpret_cast<sockaddr*>(&v4) : reinterpret_cast<sockaddr*>(&v6);
    socklen_t length = is_v4 ? sizeof v4 : sizeof v6;
    fds_.push_back(socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (bind(fds_[0], name, length) != 0 || listen(fds_[0], 0) != 0 ||
        getsockname(fds_[0], name, &length) != 0) {
      throw std::system_error(errno, std::generic_category(), "listener");
    }
    port_ = ntohs(is_v4 ? v4.sin_port : v6.sin6_port);
    for (int i = 0; i < 3; ++i) {
      fds_.push_back(socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      connect(fds_.back(), name, length);
    }
  }
  ~FullListener() {
    for (const int fd : fds_) close(fd);
  }
  FullListener(const FullListener&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  std::vector<int> fds_;
  std::uint16_t port_ = 0;
};

}  // namespace outboxd::test
