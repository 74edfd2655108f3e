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
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    inet_pton(AF_INET, host, &address.sin_addr);
    socklen_t length = sizeof address;
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    fds_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (bind(fds_[0], name, length) != 0 || listen(fds_[0], 0) != 0 ||
        getsockname(fds_[0], name, &length) != 0) {
      throw std::system_error(errno, std::generic_category(), "listener");
    }
    port_ = ntohs(address.sin_port);
    for (int i = 0; i < 3; ++i) {
      fds_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
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
