// A listener whose queue is full: the kernel drops further SYNs, so that connecting to it hangs.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
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
      if (connect(fds_.back(), name, length) != 0 && errno != EINPROGRESS)
        throw std::system_error(errno, std::generic_category(), "connect");
    }
  }
  ~FullListener() {
    for (const int fd : fds_) close(fd);
  }
  FullListener(const FullListener&) = delete;
  std::uint16_t port() const { return port_; }

  // Makes room until somebody else's connection is made, which takes a second, the kernel's wait before it sends a SYN
  // again; and returns what comes over it.
  std::string let_in() {
    for (;;) {
      const int fd = accept(fds_[0], nullptr, nullptr);
      if (fd < 0) throw std::system_error(errno, std::generic_category(), "accept");
      fds_.push_back(fd);
      if (is_own(fd)) continue;
      std::string received;
      std::array<char, 4096> buffer;
      for (ssize_t n; (n = recv(fd, buffer.data(), buffer.size(), 0)) > 0;)
        received.append(buffer.data(), static_cast<std::size_t>(n));
      return received;
    }
  }

 private:
  static std::uint16_t port_of(int fd, int (*ask)(int, sockaddr*, socklen_t*)) {
    sockaddr_in6 name{};  // IPv4 has the port at the same place
    socklen_t length = sizeof name;
    return ask(fd, reinterpret_cast<sockaddr*>(&name), &length) == 0 ? ntohs(name.sin6_port) : 0;
  }
  bool is_own(int accepted) const {
    const std::uint16_t port = port_of(accepted, getpeername);
    return std::any_of(fds_.begin(), fds_.end(), [&](int fd) { return port_of(fd, getsockname) == port; });
  }

  std::vector<int> fds_;
  std::uint16_t port_ = 0;
};

}  // namespace outboxd::test
