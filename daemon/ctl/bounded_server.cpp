#include "ctl/bounded_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>

namespace outboxd::ctl {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{kPatienceSeconds};
constexpr std::size_t kReadAtOnce = 4096;

using NameOfEnd = int (*)(int, sockaddr*, socklen_t*);

void tell_end(int socket, NameOfEnd name_of, std::string& ip, int& port) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (name_of(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0 || address.sin_family != AF_INET)
    return;
  std::array<char, INET_ADDRSTRLEN> text{};
  if (inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size()) == nullptr) return;
  ip = text.data();
  port = ntohs(address.sin_port);
}

class BoundedStream : public httplib::Stream {
 public:
  explicit BoundedStream(int socket) : socket_(socket) {}

  bool is_readable() const override { return at_ < size_ || wait_for(POLLIN, kPatience); }
  bool is_writable() const override { return wait_for(POLLOUT, kPatience) && !is_gone(); }

  ssize_t read(char* to, std::size_t wanted) override {
    if (at_ == size_) {
      if (const ssize_t filled = fill(); filled <= 0) return filled;
    }
    const auto count = std::min(static_cast<ssize_t>(wanted), size_ - at_);
    std::copy_n(buffer_.begin() + at_, count, to);
    at_ += count;
    return count;
  }

  ssize_t write(const char* bytes, std::size_t size) override {
    return wait_for(POLLOUT, kPatience) ? ::send(socket_, bytes, size, MSG_NOSIGNAL) : -1;
  }

  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    tell_end(socket_, ::getpeername, ip, port);
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    tell_end(socket_, ::getsockname, ip, port);
  }
  socket_t socket() const override { return socket_; }

 private:
  // How many bytes came; 0: the other side has ended; -1: it must not be waited for any more.
  ssize_t fill() {
    if (in_head_ && head_bytes_ >= kMaxHeadBytes) return -1;
    const std::chrono::milliseconds patience = in_head_ ? left_until(head_until_) : kPatience;
    if (patience.count() == 0 || !wait_for(POLLIN, patience)) return -1;
    const ssize_t came = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
    at_ = 0;
    size_ = std::max<ssize_t>(came, 0);
    if (in_head_) look_for_its_end();
    return came;
  }

  // An empty line, as the library understands it.
  void look_for_its_end() {
    constexpr std::string_view kEnd = "\n\r\n";
    for (ssize_t i = 0; i < size_ && in_head_; ++i) {
      const char c = buffer_[static_cast<std::size_t>(i)];
      matched_ = c == kEnd[matched_] ? matched_ + 1 : (c == kEnd.front() ? 1 : 0);
      in_head_ = matched_ < kEnd.size();
    }
    head_bytes_ += static_cast<std::size_t>(size_);
  }

  static std::chrono::milliseconds left_until(Clock::time_point time) {
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(time - Clock::now()),
                    std::chrono::milliseconds(0));
  }

  bool wait_for(short events, std::chrono::milliseconds at_most) const {
    pollfd wanted{socket_, events, 0};
    const auto deadline = Clock::now() + at_most;
    for (;;) {
      const int found = ::poll(&wanted, 1, static_cast<int>(left_until(deadline).count()));
      if (found >= 0 || errno != EINTR) return found > 0;
    }
  }

  bool is_gone() const {
    char byte = 0;
    return ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  }

  const int socket_;
  const Clock::time_point head_until_ = Clock::now() + kPatience;
  std::array<char, kReadAtOnce> buffer_{};
  ssize_t at_ = 0, size_ = 0;  // what is left of the buffer
  bool in_head_ = true;
  std::size_t matched_ = 0, head_bytes_ = 0;
};

}  // namespace

bool BoundedServer::process_and_close_socket(socket_t socket) {
  BoundedStream stream(socket);
  bool closed = false;
  const bool done = process_request(stream, true, closed, nullptr);
  ::shutdown(socket, SHUT_RDWR);
  ::close(socket);
  return done;
}

}  // namespace outboxd::ctl
