// A client that sends exactly the bytes it is told and understands just enough of an answer. Every wait has a
// deadline.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/event.h"
#include "common/text.h"

namespace outboxd::api::test {

inline constexpr std::chrono::seconds kDeadline{20};

struct RawAnswer {
  int status = 0;
  std::vector<HeaderField> headers;
  std::string body;
  std::string header(std::string_view name) const {
    for (const auto& h : headers) {
      if (ascii_iequals(h.name, name)) return h.value;
    }
    return "";
  }
};

class RawClient {
 public:
  // "127.0.0.1:1234", or a path for a Unix socket. TCP connects from this address.
  explicit RawClient(const std::string& where, const char* from = "127.0.0.1") {
    if (where.starts_with('/')) {
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      where.copy(address.sun_path, sizeof address.sun_path - 1);
      fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    } else {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(where.substr(where.rfind(':') + 1))));
      fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in own{};
      own.sin_family = AF_INET;
      REQUIRE(inet_pton(AF_INET, from, &own.sin_addr) == 1);
      REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0);
      REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
      const int on = 1;
      setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
  }
  ~RawClient() {
    if (fd_ >= 0) close(fd_);
  }
  RawClient(RawClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        tls_(std::move(other.tls_)),
        received_(std::move(other.received_)) {}
  RawClient& operator=(RawClient&&) = delete;

  // Shakes hands; from then on all goes under TLS.
  bool start_tls(SSL_CTX* context, SSL_SESSION* resumed = nullptr) {
    const timeval patience{.tv_sec = kDeadline.count(), .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    tls_.reset(SSL_new(context), SSL_free);
    SSL_set_fd(tls_.get(), fd_);
    if (resumed != nullptr) SSL_set_session(tls_.get(), resumed);
    return SSL_connect(tls_.get()) == 1;
  }
  SSL* tls() const { return tls_.get(); }
  int fd() const { return fd_; }

  // False when the server no longer takes it.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = tls_ ? SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()))
                             : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  void end_of_sending() {
    if (tls_) SSL_shutdown(tls_.get());
    shutdown(fd_, SHUT_WR);
  }

  // The next answer, interim ones included; nullopt when the connection ended before it was complete.
  std::optional<RawAnswer> read_answer(bool head_only = false) {
    while (true) {
      const auto end = received_.find("\r\n\r\n");
      if (end != std::string::npos) {
        RawAnswer answer = parse_answer_head(std::string_view(received_).substr(0, end + 2));
        std::size_t length = 0;
        const std::string text = answer.header("content-length");
        std::from_chars(text.data(), text.data() + text.size(), length);
        if (head_only) length = 0;
        if (received_.size() >= end + 4 + length) {
          answer.body = received_.substr(end + 4, length);
          received_.erase(0, end + 4 + length);
          return answer;
        }
      }
      if (!read_some()) return std::nullopt;
    }
  }
  // Reads up to and with this text; false when the connection ended before it came.
  bool read_until(std::string_view text) {
    std::size_t found = std::string::npos;
    while ((found = received_.find(text)) == std::string::npos) {
      if (!read_some()) return false;
    }
    received_.erase(0, found + text.size());
    return true;
  }
  // True when the server closes, in order, without sending anything more.
  bool is_closed() {
    reset_ = false;
    while (read_some()) {
    }
    return received_.empty() && !reset_;
  }
  bool has_answer() {
    pollfd p{fd_, POLLIN, 0};
    return poll(&p, 1, 0) == 1;
  }
  // Has the server closed, although there may be bytes to read?
  bool was_hung_up() {
    pollfd p{fd_, 0, 0};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
  }

 private:
  bool read_some() {
    if (tls_) return read_some_tls();
    pollfd p{fd_, POLLIN, 0};
    const auto ready = poll(&p, 1, static_cast<int>(std::chrono::milliseconds(kDeadline).count()));
    REQUIRE_MESSAGE(ready == 1, "the server did not answer in time");
    char buffer[16384];
    const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
    reset_ = n < 0;
    if (n <= 0) return false;
    received_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }

  // A TLS connection ends in order with close_notify.
  bool read_some_tls() {
    char buffer[16384];
    const int n = SSL_read(tls_.get(), buffer, sizeof buffer);
    const int error = n > 0 ? SSL_ERROR_NONE : SSL_get_error(tls_.get(), n);
    REQUIRE_MESSAGE(error != SSL_ERROR_WANT_READ, "the server did not answer in time");
    reset_ = error != SSL_ERROR_NONE && error != SSL_ERROR_ZERO_RETURN;
    if (n <= 0) return false;
    received_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }

  static RawAnswer parse_answer_head(std::string_view text) {
    RawAnswer answer;
    std::from_chars(text.data() + 9, text.data() + 12, answer.status);
    text.remove_prefix(text.find("\r\n") + 2);
    while (!text.empty()) {
      const auto line = text.substr(0, text.find("\r\n"));
      const auto colon = line.find(": ");
      answer.headers.push_back({std::string(line.substr(0, colon)), std::string(line.substr(colon + 2))});
      text.remove_prefix(line.size() + 2);
    }
    return answer;
  }

  int fd_ = -1;
  std::shared_ptr<SSL> tls_;
  bool reset_ = false;
  std::string received_;
};

}  // namespace outboxd::api::test
