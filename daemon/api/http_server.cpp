#include "api/http_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "api/http_server_impl.h"
#include "telemetry/log.h"

namespace outboxd::api {
namespace {

constexpr int kAcceptBurst = 64;  // then the connections that are there get their turn
constexpr std::size_t kRefusedAtOnce =
    64;                              // connections beyond the limit that are told so; more are just closed
constexpr Millis kAcceptPause{100};  // without file descriptors, accepting again at once would spin
constexpr std::chrono::minutes kPauseLogInterval{1};
constexpr Millis kLongestSweep{500};
constexpr Millis kShortestSweep{10};
constexpr std::size_t kReadBytes = 64u << 10;

std::string address_text(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text.data(), text.size());
  } else {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text.data(), text.size());
  }
  return text.data();
}

std::string tcp_peer(const sockaddr_storage& peer) {
  const bool v6 = peer.ss_family == AF_INET6;
  const auto port = v6 ? reinterpret_cast<const sockaddr_in6&>(peer).sin6_port
                       : reinterpret_cast<const sockaddr_in&>(peer).sin_port;
  const std::string host = address_text(peer);
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(ntohs(port));
}

std::string tcp_local_address(int fd) {
  sockaddr_storage local{};
  socklen_t length = sizeof local;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length) != 0) return "";
  return address_text(local);
}

Caller unix_caller(int fd, Scope scope) {
  ucred credentials{.pid = 0, .uid = static_cast<uid_t>(-1), .gid = static_cast<gid_t>(-1)};
  socklen_t length = sizeof credentials;
  getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
  const auto kind = scope == Scope::kAdmin ? Peer::Kind::kOperator : Peer::Kind::kProducer;
  return {scope, true,
          "unix:uid=" + std::to_string(credentials.uid) + ",gid=" + std::to_string(credentials.gid) +
              ",pid=" + std::to_string(credentials.pid),
          "", Peer{kind, credentials.uid}};
}

Caller tcp_caller(int fd, Scope scope) {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0)
    return {scope, false, "unknown", "", {}};
  return {scope, false, tcp_peer(peer), tcp_local_address(fd), peer_at(peer)};
}

std::shared_ptr<const Caller> describe_caller(int fd, const Listener& listener) {
  return std::make_shared<const Caller>(listener.unix_socket ? unix_caller(fd, listener.scope)
                                                             : tcp_caller(fd, listener.scope));
}

}  // namespace

HttpServer::Impl::Impl(EventLoop& its_loop, std::vector<Listener> its_listeners, std::vector<Route> routes,
                       std::shared_ptr<const Authenticator> auth, telemetry::Metrics& its_metrics,
                       Options its_options)
    : loop(its_loop),
      listeners(std::move(its_listeners)),
      metrics(its_metrics),
      options(std::move(its_options)),
      limits{options.max_head_bytes, options.max_headers, options.max_body_bytes},
      has_unix_sockets(std::ranges::any_of(listeners, [](const Listener& l) { return l.unix_socket; })),
      dispatcher(std::move(routes), std::move(auth), options.allowed_hosts),
      finished_queue(std::make_shared<FinishedQueue>(
          loop, [this] { on_finished(); }, [this](const WorkerPool::Item& item) { pool.resume(item); })),
      pool(options.max_queue, [this](const WorkerPool::Item& item) { dispatcher.handle(item); }),
      scratch(kReadBytes, '\0') {}

HttpServer::Impl::~Impl() {
  *alive = false;
  finished_queue->detach();
  loop.cancel(sweep_timer);
  loop.cancel(resume_timer);
  loop.cancel(stop_timer);
  close_listeners();
  for (auto& [id, connection] : connections) {
    if (connection->state != Connection::State::kClosed) close(*connection);
  }
}

void HttpServer::Impl::start() {
  pool.start(options.workers);
  for (const auto& listener : listeners) {
    fcntl(listener.fd, F_SETFL, fcntl(listener.fd, F_GETFL) | O_NONBLOCK);
    const int on = 1;
    // Accepted sockets inherit it: one call a listener instead of one a connection.
    if (!listener.unix_socket) setsockopt(listener.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    loop.watch(listener.fd, EPOLLIN, [this, &listener](std::uint32_t) { accept_from(listener); });
  }
}

void HttpServer::Impl::accept_from(const Listener& listener) {
  for (int i = 0; i < kAcceptBurst; ++i) {
    const int fd = accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      adopt(fd, listener);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != ECONNABORTED && errno != EINTR) {
      pause_accepting(errno);
      break;
    }
  }
  end_round();
}

void HttpServer::Impl::adopt(int fd, const Listener& listener) {
  auto caller = describe_caller(fd, listener);
  const auto refusal = no_place_for(*caller);
  const bool may_be_told = !refusal || turned_away < kRefusedAtOnce;
  TlsSession session = listener.tls && may_be_told ? listener.tls->accept(fd) : nullptr;
  if (!may_be_told || (listener.tls && !session)) {
    ::close(fd);
    return;
  }
  const auto id = next_connection++;
  auto& connection = *connections
                          .emplace(id, std::make_unique<Connection>(id, fd, Stream(fd, std::move(session)),
                                                                    std::move(caller), limits))
                          .first->second;
  connection.admitted = !refusal;
  ++(connection.admitted ? admitted : turned_away);
  if (connection.admitted) peers.count(connection.caller->counted_as, 1, 0);
  connection.deadline = loop.now() + (listener.tls ? options.head_timeout : options.idle_timeout);
  loop.watch(fd, EPOLLIN, [this, &connection](std::uint32_t events) {
    on_event(connection, events);
    end_round();
  });
  connection.watched = EPOLLIN;
  if (refusal) refuse(connection, *refusal);
  arm_sweep();
}

std::optional<HttpRefusal> HttpServer::Impl::no_place_for(const Caller& caller) const {
  const bool of_operator = caller.counted_as.kind == Peer::Kind::kOperator;
  if (admitted >= options.max_connections + (of_operator ? kAdminPlaces : 0))
    return HttpRefusal{503, "Too many connections are open; try again in a moment."};
  if (caller.counted_as.over_tcp() && peers.over_tcp().connections >= of_tcp(options.max_connections))
    return HttpRefusal{503, "Too many connections over TCP are open; try again in a moment."};
  if (peers.of(caller.counted_as).connections >= options.max_connections_per_peer)
    return HttpRefusal{503, "You have too many connections open; close some, or try again in a moment."};
  return std::nullopt;
}

void HttpServer::Impl::pause_accepting(int error) {
  if (accepting_paused) return;
  if (loop.now() - pause_logged > kPauseLogInterval) {
    pause_logged = loop.now();
    log::warn(
        "new connections have to wait: accepting one failed; raise LimitNOFILE if it is the number of open "
        "files",
        {{"error", std::strerror(error)}, {"connections", connections.size()}});
  }
  accepting_paused = true;
  for (const auto& listener : listeners) loop.change(listener.fd, 0);
  resume_timer = loop.call_at(loop.now() + kAcceptPause, [this] {
    accepting_paused = false;
    for (const auto& listener : listeners) loop.change(listener.fd, EPOLLIN);
  });
}

void HttpServer::Impl::close_listeners() {
  for (const auto& listener : listeners) {
    // First the file, while connecting still works: a successor that finds it gone need not ask whether it is
    // stale.
    if (!listener.unlink_path.empty()) unlink(listener.unlink_path.c_str());
    loop.unwatch(listener.fd);
    ::close(listener.fd);
  }
  listeners.clear();
}

void HttpServer::Impl::begin_stop(Millis limit, std::function<void()> done) {
  if (stopping) return;
  stopping = true;
  stopped = std::move(done);
  loop.cancel(resume_timer);
  close_listeners();
  for (auto& [id, connection] : connections) {
    const bool idle = connection->state == Connection::State::kReading &&
                      connection->reader.state() == RequestReader::State::kIdle;
    if (idle) close(*connection);
  }
  stop_timer = loop.call_at(loop.now() + limit, [this] { finish_stop(); });
  end_round();
}

void HttpServer::Impl::finish_stop() {
  loop.cancel(stop_timer);
  if (stopped) std::exchange(stopped, nullptr)();
}

bool HttpServer::Impl::work_remains() const {
  return in_flight > 0 || std::ranges::any_of(connections, [](const auto& entry) {
           const auto state = entry.second->state;
           return state != Connection::State::kLingering && state != Connection::State::kClosed;
         });
}

void HttpServer::Impl::arm_sweep() {
  if (sweep_armed) return;
  sweep_armed = true;
  const auto shortest = std::min({options.head_timeout, options.body_timeout, options.idle_timeout});
  sweep_timer =
      loop.call_at(loop.now() + std::clamp(shortest / 4, kShortestSweep, kLongestSweep), [this] { sweep(); });
}

void HttpServer::Impl::sweep() {
  sweep_armed = false;
  for (auto& [id, connection] : connections) {
    const bool waits =
        connection->state != Connection::State::kHandling && connection->state != Connection::State::kClosed;
    if (waits && connection->deadline <= loop.now()) expire(*connection);
  }
  end_round();
  if (!connections.empty()) arm_sweep();
}

void HttpServer::Impl::end_round() {
  for (const auto id : closed) connections.erase(id);
  closed.clear();
  if (stopped && !work_remains()) finish_stop();
}

HttpServer::HttpServer(EventLoop& loop, std::vector<Listener> listeners, std::vector<Route> routes,
                       std::shared_ptr<const Authenticator> auth, telemetry::Metrics& metrics,
                       Options options)
    : impl_(std::make_unique<Impl>(loop, std::move(listeners), std::move(routes), std::move(auth), metrics,
                                   std::move(options))) {}

HttpServer::~HttpServer() = default;

void HttpServer::start() {
  impl_->start();
}

void HttpServer::set_authenticator(std::shared_ptr<const Authenticator> auth) {
  impl_->dispatcher.set_authenticator(std::move(auth));
}

void HttpServer::stop_accepting(Millis limit, std::function<void()> done) {
  impl_->loop.post([impl = impl_.get(), alive = impl_->alive, limit, done = std::move(done)]() mutable {
    if (*alive) impl->begin_stop(limit, std::move(done));
  });
}

}  // namespace outboxd::api
