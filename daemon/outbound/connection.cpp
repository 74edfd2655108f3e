#include "outbound/connection.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "outbound/peer.h"

namespace outboxd {
namespace {

bool is_local_end(int fd, const IpAddress& address) {
  sockaddr_storage local{};
  socklen_t size = sizeof local;
  auto* const name = reinterpret_cast<sockaddr*>(&local);
  return getsockname(fd, name, &size) == 0 && IpAddress::from_sockaddr(name) == address;
}

bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

iovec piece(std::string_view bytes) {
  return {const_cast<char*>(bytes.data()), bytes.size()};
}

}  // namespace

Connection::Connection(EventLoop& loop, int fd, const IpAddress& address, std::uint16_t port)
    : opened_at(std::chrono::steady_clock::now()),
      loop_(loop),
      fd_(fd),
      address_(address),
      remote_address_(address_text(address, port)),
      to_this_machine_(is_local_end(fd, address)) {}

Connection::~Connection() {
  if (tls_) tls_->close_notify();
  if (watched_) loop_.unwatch(fd_);  // before the number can be used for another socket
  close(fd_);
}

void Connection::watch(std::uint32_t events, EventLoop::FdHandler handler) {
  loop_.watch(fd_, events, std::move(handler));
  watched_ = true;
  waits_for_ = events;
}

void Connection::wait_for(std::uint32_t events) {
  if (std::exchange(waits_for_, events) != events) loop_.change(fd_, events);
}

void Connection::start_tls(std::shared_ptr<TlsContext> context, std::string_view host, std::uint16_t port) {
  if (tls_) {
    tls_ = std::make_unique<TlsStream>(std::move(context), host, port, std::move(tls_));
  } else {
    tls_ = std::make_unique<TlsStream>(std::move(context), host, port, fd_);
  }
}

Connection::Io Connection::shake_hands() {
  return tls_->handshake();
}

Connection::Moved Connection::read(std::span<char> into) {
  if (tls_) return tls_->read(into.data(), into.size());
  const auto n = recv(fd_, into.data(), into.size(), 0);
  if (n > 0) return {Io::kDone, static_cast<std::size_t>(n)};
  if (n == 0) return {Io::kEnded};
  if (would_block(errno)) return {Io::kWantRead};
  error_ = errno;
  return {Io::kBroken};
}

Connection::Moved Connection::write(std::string_view first, std::string_view second) {
  if (tls_) return tls_->write(first, second);
  std::array<iovec, 2> pieces{piece(first), piece(second)};
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = second.empty() ? 1 : 2;
  const auto n = sendmsg(fd_, &message, MSG_NOSIGNAL);
  if (n >= 0) return {Io::kDone, static_cast<std::size_t>(n)};
  if (would_block(errno)) return {Io::kWantWrite};
  error_ = errno;
  return {Io::kBroken};
}

void Connection::reset_at_end() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

Failure Connection::failure(Io io) const {
  if (io == Io::kFailed) return {Outcome::kTls, tls_->error()};
  if (io == Io::kBroken) return lost_connection(tls_ ? tls_->system_error() : error_);
  return lost_connection(0);
}

bool Connection::is_quiet() {
  if (tls_) return tls_->is_quiet();
  char unasked;
  return recv(fd_, &unasked, 1, MSG_PEEK) < 0 && would_block(errno);
}

void Connection::begin_to_listen() {
  if (tls_) received_before_ = tls_->received();
}

bool Connection::has_heard() const {
  return tls_ && tls_->received() - received_before_ > tls_->farewell_bytes();
}

bool Connection::holds_bytes() const {
  return tls_ && tls_->holds_bytes();
}

std::optional<Time> Connection::certificate_expires_at() const {
  return tls_ ? tls_->certificate_expires_at() : std::nullopt;
}

}  // namespace outboxd
