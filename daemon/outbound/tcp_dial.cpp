#include "outbound/tcp_dial.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace outboxd {
namespace {

struct SocketName {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketName socket_name(const IpAddress& address, std::uint16_t port) {
  SocketName name;
  if (address.v6) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.bytes.data(), sizeof v6.sin6_addr);
    std::memcpy(&name.storage, &v6, sizeof v6);
    name.length = sizeof v6;
  } else {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.bytes.data(), sizeof v4.sin_addr);
    std::memcpy(&name.storage, &v4, sizeof v4);
    name.length = sizeof v4;
  }
  return name;
}

int error_of(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace

std::vector<IpAddress> in_turn_by_family(std::span<const IpAddress> addresses) {
  std::vector<IpAddress> first, second, order;
  for (const IpAddress& address : addresses)
    (address.v6 == addresses.front().v6 ? first : second).push_back(address);
  order.reserve(addresses.size());
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) order.push_back(first[i]);
    if (i < second.size()) order.push_back(second[i]);
  }
  return order;
}

TcpDial::TcpDial(EventLoop& loop, ConnectionPool& pool, Owner& owner, std::span<const IpAddress> addresses,
                 std::uint16_t port, Millis patience)
    : loop_(loop),
      pool_(pool),
      owner_(owner),
      addresses_(in_turn_by_family(addresses)),
      port_(port),
      share_(patience / static_cast<std::int64_t>(std::max<std::size_t>(addresses.size(), 1))) {}

TcpDial::~TcpDial() {
  close_all();
}

void TcpDial::close_all() {
  if (timer_) loop_.cancel(*timer_);
  timer_.reset();
  for (const Try& one : under_way_) {
    loop_.unwatch(one.fd);
    close(one.fd);
  }
  under_way_.clear();
  if (std::exchange(has_second_, false)) pool_.give_back();
}

void TcpDial::give_up_first() {
  loop_.unwatch(under_way_.front().fd);
  close(under_way_.front().fd);
  under_way_.erase(under_way_.begin());
}

void TcpDial::start() {
  try_next();
}

// Tries the addresses that are left, one after the other, until one has to be waited for.
void TcpDial::try_next() {
  while (next_ < addresses_.size()) {
    const Opened opened = open(addresses_[next_++]);
    if (opened == Opened::kEnded) return;
    if (opened == Opened::kWaiting) return set_timer();
  }
  if (under_way_.empty()) owner_.on_dial_failed(error_);
}

TcpDial::Opened TcpDial::open(const IpAddress& address) {
  if (!owner_.may_open(address)) return Opened::kEnded;
  const int fd = socket(address.v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    error_ = errno;
    return Opened::kFailed;
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const SocketName name = socket_name(address, port_);
  if (connect(fd, name.get(), name.length) == 0) {
    won(fd, address);
    return Opened::kEnded;
  }
  error_ = errno;
  if (error_ != EINPROGRESS && error_ != EINTR) {
    close(fd);
    return Opened::kFailed;
  }
  try {
    loop_.watch(fd, EPOLLOUT, [this, fd](std::uint32_t) { on_ready(fd); });
  } catch (const std::system_error& full) {  // the system's limit of watches
    error_ = full.code().value();
    close(fd);
    return Opened::kFailed;
  }
  under_way_.push_back({fd, address});
  if (under_way_.size() > (has_second_ ? 2 : 1)) give_up_first();
  return Opened::kWaiting;
}

// Where the next one costs the first one its place, it waits until that had its share.
void TcpDial::set_timer() {
  if (timer_) loop_.cancel(*timer_);
  timer_.reset();
  if (next_ == addresses_.size()) return;
  const bool takes_place = has_second_ && under_way_.size() == 2;
  wait(takes_place ? std::max(kNextAfter, share_) : kNextAfter, takes_place);
}

void TcpDial::wait(Millis time, bool takes_place) {
  timer_ = loop_.call_at(std::chrono::steady_clock::now() + time, [this, takes_place] {
    timer_.reset();
    if (!takes_place && !has_second_ && !under_way_.empty()) {
      has_second_ = pool_.lend();
      if (!has_second_ && share_ > kNextAfter) return wait(share_ - kNextAfter, true);
    }
    try_next();
  });
}

void TcpDial::on_ready(int fd) {
  const auto one =
      std::find_if(under_way_.begin(), under_way_.end(), [&](const Try& t) { return t.fd == fd; });
  const IpAddress address = one->address;
  under_way_.erase(one);
  loop_.unwatch(fd);
  const int error = error_of(fd);
  if (error == 0) return won(fd, address);
  close(fd);
  error_ = error;
  try_next();
}

void TcpDial::won(int fd, const IpAddress& address) {
  close_all();
  owner_.on_dialed(fd, address);
}

}  // namespace outboxd
