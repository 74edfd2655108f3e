#include "bench/sink.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <unordered_map>

namespace outboxd::bench {
namespace {

constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

// libcurl writes it in this case.
std::size_t content_length(std::string_view head) {
  const auto at = head.find("\r\nContent-Length: ");
  return at == std::string_view::npos ? 0 : static_cast<std::size_t>(std::atol(head.data() + at + 18));
}

}  // namespace

std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

Sink::Sink() {
  listen_fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listen_fd_, 1024) != 0) {
    throw std::runtime_error("the sink cannot listen");
  }
  socklen_t length = sizeof address;
  getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&address), &length);
  port_ = ntohs(address.sin_port);
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  stop_fd_ = eventfd(0, EFD_CLOEXEC);
  for (const int fd : {listen_fd_, stop_fd_}) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
  }
  thread_ = std::thread([this] { run(); });
}

Sink::~Sink() {
  eventfd_write(stop_fd_, 1);
  thread_.join();
  for (const int fd : {listen_fd_, epoll_fd_, stop_fd_}) close(fd);
}

std::vector<std::int64_t> Sink::take_latencies() {
  return std::move(latencies_);
}

void Sink::serve(int fd, std::string& buffer) {
  std::string answers;
  while (true) {
    const auto end = buffer.find("\r\n\r\n");
    if (end == std::string::npos) break;
    const std::size_t length = content_length(std::string_view(buffer).substr(0, end + 4));
    if (buffer.size() < end + 4 + length) break;
    const auto body = std::string_view(buffer).substr(end + 4, length);
    if (const auto at = body.find("\"t\":"); at != std::string_view::npos) {
      latencies_.push_back(now_ns() - std::atoll(body.data() + at + 4));
    }
    ++received_;
    buffer.erase(0, end + 4 + length);
    answers += kAnswer;
  }
  if (!answers.empty() && write(fd, answers.data(), answers.size()) < 0) buffer.clear();
}

void Sink::run() {
  std::unordered_map<int, std::string> buffers;
  epoll_event events[256];
  char chunk[65536];
  while (true) {
    const int n = epoll_wait(epoll_fd_, events, 256, -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == stop_fd_) {
        for (const auto& [open_fd, buffer] : buffers) close(open_fd);
        return;
      }
      if (fd == listen_fd_) {
        for (int one = 0; (one = accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          const int yes = 1;
          setsockopt(one, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
          epoll_event event{.events = EPOLLIN, .data = {.fd = one}};
          epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, one, &event);
          buffers[one];
        }
        continue;
      }
      const ssize_t got = read(fd, chunk, sizeof chunk);
      if (got <= 0) {
        close(fd);
        buffers.erase(fd);
        continue;
      }
      auto& buffer = buffers[fd];
      buffer.append(chunk, static_cast<std::size_t>(got));
      serve(fd, buffer);
    }
  }
}

}  // namespace outboxd::bench
