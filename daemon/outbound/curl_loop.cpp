#include "outbound/curl_loop.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace outboxd {
namespace {

void init_curl_once() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

// Retires an idle connection at which something arrived: it has ended, or holds bytes that nobody asked for. libcurl
// would take those for the response to the next request, so this makes libcurl see an end instead and lets no request
// out.
void retire(curl_socket_t fd) {
  std::array<char, 4096> unread;
  for (int i = 0; i < 64 && recv(fd, unread.data(), unread.size(), MSG_DONTWAIT) > 0; ++i) continue;
  shutdown(fd, SHUT_RDWR);
}

// How many received bytes the mere end of a connection accounts for: TCP counts the end as one byte, and TLS closes
// with a record of its own (24 to 31 bytes with the ciphers in use). The first line of a response is longer.
constexpr std::uint64_t kFarewellBytes = 1;
constexpr std::uint64_t kTlsFarewellBytes = 32;

// Payload bytes received over the lifetime of this connection, plus one if the other side has ended it, because TCP
// numbers the end like a byte.
std::uint64_t received(curl_socket_t fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received : 0;
}

int local_port(curl_socket_t fd) {
  sockaddr_in6 address{};  // IPv4 has the port at the same place
  socklen_t size = sizeof address;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0 ? ntohs(address.sin6_port) : -1;
}

}  // namespace

CurlLoop::CurlLoop(EventLoop& loop, std::size_t max_idle_connections, OnDone on_done)
    : loop_(loop), max_idle_connections_(max_idle_connections), on_done_(std::move(on_done)) {
  init_curl_once();
  multi_ = curl_multi_init();
  sessions_ = curl_share_init();
  if (multi_ == nullptr || sessions_ == nullptr)
    throw std::runtime_error("curl_multi_init failed: out of memory");
  curl_share_setopt(sessions_, CURLSHOPT_SHARE,
                    CURL_LOCK_DATA_SSL_SESSION);  // one thread: no locks are needed
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  limit_connections();
}

CurlLoop::~CurlLoop() {
  curl_multi_cleanup(multi_);
  curl_share_cleanup(sessions_);
  if (armed_) loop_.cancel(*armed_);
}

void CurlLoop::configure(CURL* easy) {
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, this);
  curl_easy_setopt(easy, CURLOPT_SHARE, sessions_);
}

// libcurl counts connections in use towards its limit, and when over it closes idle ones first. So the limit grows with
// the active ones: otherwise thousands of hanging requests would cost every healthy endpoint its keep-alive, and each
// request a walk over all connections.
void CurlLoop::limit_connections() {
  const std::size_t others = active_ > 0 ? active_ - 1 : 0;  // than the one whose connection is given back
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS,
                    static_cast<long>(std::max<std::size_t>(max_idle_connections_ + others, 1)));
}

void CurlLoop::add(CURL* easy) {
  ++active_;
  limit_connections();
  curl_multi_add_handle(multi_, easy);
}

void CurlLoop::remove(CURL* easy) {
  curl_multi_remove_handle(multi_, easy);
  --active_;
  limit_connections();
  arm();
}

// Does what libcurl's timer is for, so the timer counts as fired: libcurl sets it again if it has more to wait for, and
// says nothing otherwise.
void CurlLoop::kick() {
  due_.reset();
  act(CURL_SOCKET_TIMEOUT, 0);
}

CurlLoop::Socket& CurlLoop::socket(curl_socket_t fd) {
  const auto index = static_cast<std::size_t>(fd);
  if (index >= sockets_.size()) sockets_.resize(std::max(index + 1, sockets_.size() * 2));
  return sockets_[index];
}

int CurlLoop::on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) {
  std::uint32_t events = 0;
  if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) events |= EPOLLIN;
  if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) events |= EPOLLOUT;
  static_cast<CurlLoop*>(self)->interest(fd, events);
  return 0;
}

void CurlLoop::watch(curl_socket_t fd, std::uint32_t events) {
  socket(fd).watched = events;
  loop_.watch(fd, events, [this, fd](std::uint32_t ready_events) { ready(fd, ready_events); });
}

curl_socket_t CurlLoop::open_socket(const curl_sockaddr& address) {
  const curl_socket_t fd =
      ::socket(address.family, address.socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.protocol);
  if (fd == CURL_SOCKET_BAD) return fd;
  // libcurl has just closed a socket of this number by itself, and still counts on our watch for it.
  const std::uint32_t stale = socket(fd).watched;
  reset(socket(fd));
  if (stale != 0) {
    loop_.unwatch(fd);
    watch(fd, stale);
    socket(fd).busy = true;
  }
  return fd;
}

// A connection stays watched for input between two requests: leaving and re-entering epoll would cost two system calls
// per request, and this way an end or stray bytes are noticed.
void CurlLoop::interest(curl_socket_t fd, std::uint32_t events) {
  Socket& s = socket(fd);
  s.busy = events != 0;
  if (s.watched == events) return;
  if (s.watched == 0) return watch(fd, events);
  if (events != 0) {
    s.watched = events;
    return loop_.change(fd, events);
  }
  if (s.connected && s.watched == EPOLLIN) return;
  s.watched = 0;
  loop_.unwatch(fd);  // the socket may be closed already
}

void CurlLoop::ready(curl_socket_t fd, std::uint32_t events) {
  Socket& s = socket(fd);
  if (!s.busy) {
    s.watched = 0;
    loop_.unwatch(fd);
    retire(fd);
    return;
  }
  int bits = 0;
  if (events & EPOLLIN) bits |= CURL_CSELECT_IN;
  if (events & EPOLLOUT) bits |= CURL_CSELECT_OUT;
  if (events & (EPOLLERR | EPOLLHUP)) bits |= CURL_CSELECT_ERR;
  act(fd, bits);
}

int CurlLoop::close_socket(void* self, curl_socket_t fd) {
  auto& loop = *static_cast<CurlLoop*>(self);
  Socket& s = loop.socket(fd);
  if (s.watched != 0) loop.loop_.unwatch(fd);  // before the number can be reused for another socket
  if (s.heard != nullptr) *s.heard = received(fd) > s.heard_from;
  loop.reset(s);
  return close(fd);
}

void CurlLoop::reset(Socket& socket) {
  if (socket.ends) by_ends_.erase(*socket.ends);
  socket = Socket{};
}

// More than one socket was opened if addresses were tried in parallel.
void CurlLoop::connected(const std::vector<curl_socket_t>& opened, const Ends& ends) {
  for (const curl_socket_t fd : opened) {
    Socket& s = socket(fd);
    s.connected = true;
    if (opened.size() > 1 && local_port(fd) != ends.local_port) continue;
    s.ends = ends;
    by_ends_[ends] = fd;
  }
}

curl_socket_t CurlLoop::listen(const Ends& ends, bool tls, bool* heard) {
  const auto it = by_ends_.find(ends);
  if (it == by_ends_.end()) return CURL_SOCKET_BAD;
  Socket& s = socket(it->second);
  s.heard = heard;
  s.heard_from = received(it->second) + (tls ? kTlsFarewellBytes : kFarewellBytes);
  return it->second;
}

void CurlLoop::look(curl_socket_t fd, bool* heard) {
  if (const Socket& s = socket(fd); s.heard == heard) *heard = received(fd) > s.heard_from;
}

void CurlLoop::disregard(curl_socket_t fd, const bool* heard) {
  if (Socket& s = socket(fd); s.heard == heard) s.heard = nullptr;
}

int CurlLoop::on_timer(CURLM*, long timeout_ms, void* self) {
  auto& due = static_cast<CurlLoop*>(self)->due_;
  due.reset();
  if (timeout_ms >= 0) due = std::chrono::steady_clock::now() + Millis(timeout_ms);
  return 0;  // arm() follows: libcurl calls this from within our calls only
}

// The loop's timer may be early but never late: moving it each time libcurl changes its mind would cost more than an
// occasional needless wake-up.
void CurlLoop::arm() {
  if (!due_ || (armed_ && armed_->first <= *due_)) return;
  if (armed_) loop_.cancel(*armed_);
  armed_ = loop_.call_at(*due_, [this] {
    armed_.reset();
    if (due_ && *due_ <= std::chrono::steady_clock::now()) return kick();
    arm();
  });
}

void CurlLoop::act(curl_socket_t fd, int events) {
  int running = 0;
  curl_multi_socket_action(multi_, fd, events, &running);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* const easy = message->easy_handle;
    const CURLcode code = message->data.result;
    remove(easy);
    on_done_(easy, code);
  }
  arm();
}

}  // namespace outboxd
