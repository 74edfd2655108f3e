#include "support/raw_receiver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "common/text.h"

namespace outboxd::test {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

int listen_on(const std::string& address, std::uint16_t& port) {
  const bool v6 = address.find(':') != std::string::npos;
  sockaddr_storage storage{};
  socklen_t length = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  storage.ss_family = v6 ? AF_INET6 : AF_INET;
  void* const host = v6 ? static_cast<void*>(&reinterpret_cast<sockaddr_in6*>(&storage)->sin6_addr)
                        : static_cast<void*>(&reinterpret_cast<sockaddr_in*>(&storage)->sin_addr);
  if (inet_pton(storage.ss_family, address.c_str(), host) != 1) throw std::invalid_argument(address);
  const int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto* const name = reinterpret_cast<sockaddr*>(&storage);
  if (fd < 0 || bind(fd, name, length) != 0 || listen(fd, 4096) != 0) fail("listen");
  if (getsockname(fd, name, &length) != 0) fail("getsockname");
  port = ntohs(v6 ? reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port
                  : reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
  return fd;
}

SSL_CTX* tls_context(const TestCertificate& certificate, const std::vector<TestCertificate>& clients) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  certificate.use_in(context);
  SSL_CTX_set_min_proto_version(context, certificate.min_tls_version());
  SSL_CTX_set_max_proto_version(context, certificate.max_tls_version());
  if (clients.empty()) return context;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  constexpr std::string_view kSessions = "test";
  SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(kSessions.data()),
                                 kSessions.size());
  for (const TestCertificate& client : clients)
    SSL_CTX_load_verify_locations(context, client.file().c_str(), nullptr);
  return context;
}

std::string subject_of(X509* certificate) {
  std::array<char, 256> name{};
  if (certificate == nullptr) return "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(), name.size());
  return name.data();
}

}  // namespace

std::string ReceivedRequest::line() const {
  return head.substr(0, head.find("\r\n"));
}

std::optional<std::string> ReceivedRequest::header(std::string_view name) const {
  for (std::size_t at = head.find("\r\n"); at + 2 < head.size();) {
    const std::size_t start = at + 2;
    at = head.find("\r\n", start);
    const std::string field = head.substr(start, at - start);
    const std::size_t colon = field.find(':');
    if (colon == std::string::npos || !ascii_iequals(field.substr(0, colon), name)) continue;
    const std::size_t value = field.find_first_not_of(" \t", colon + 1);
    return value == std::string::npos ? "" : field.substr(value);
  }
  return std::nullopt;
}

RawReceiver::Connection::Connection(RawReceiver& receiver, int fd, int number)
    : receiver_(receiver), fd_(fd), number_(number) {}

RawReceiver::Connection::~Connection() {
  // Without close_notify the session could not be resumed.
  if (tls_ != nullptr) SSL_shutdown(static_cast<SSL*>(tls_));
  SSL_free(static_cast<SSL*>(tls_));
}

bool RawReceiver::Connection::start_tls() {
  if (receiver_.tls_context_ == nullptr) return true;
  SSL* const tls = SSL_new(static_cast<SSL_CTX*>(receiver_.tls_context_));
  tls_ = tls;
  SSL_set_fd(tls, fd_);
  return SSL_accept(tls) == 1;
}

void RawReceiver::Connection::drain() {
  shutdown(fd_, SHUT_WR);
  std::array<char, 4096> rest;
  while (recv(fd_, rest.data(), rest.size(), 0) > 0) continue;
}

std::ptrdiff_t RawReceiver::Connection::read_some(char* into, std::size_t size) {
  if (tls_ != nullptr) return SSL_read(static_cast<SSL*>(tls_), into, static_cast<int>(size));
  return recv(fd_, into, size, 0);
}

std::optional<ReceivedRequest> RawReceiver::Connection::read_request() {
  std::array<char, 16384> buffer;
  const auto read_more = [&] {
    const auto n = read_some(buffer.data(), buffer.size());
    if (n > 0) pending_.append(buffer.data(), static_cast<std::size_t>(n));
    return n > 0;
  };
  std::size_t end;
  while ((end = pending_.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more()) return std::nullopt;
  }
  ReceivedRequest request;
  request.connection = number_;
  if (SSL* const tls = static_cast<SSL*>(tls_)) {
    request.resumed = SSL_session_reused(tls) == 1;
    request.client = subject_of(SSL_get0_peer_certificate(tls));
  }
  request.head = pending_.substr(0, end + 4);
  const std::size_t length = std::stoul(request.header("content-length").value_or("0"));
  while (pending_.size() < request.head.size() + length) {
    if (!read_more()) return std::nullopt;
  }
  request.body = pending_.substr(request.head.size(), length);
  pending_.erase(0, request.head.size() + length);
  const std::lock_guard lock(receiver_.mutex_);
  receiver_.requests_.push_back(request);
  receiver_.changed_.notify_all();
  return request;
}

bool RawReceiver::Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = tls_ != nullptr
                       ? SSL_write(static_cast<SSL*>(tls_), bytes.data(), static_cast<int>(bytes.size()))
                       : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool RawReceiver::Connection::send_below_tls(std::string_view bytes) {
  return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

bool RawReceiver::Connection::pause(Wait time) {
  pollfd poll_fd{.fd = fd_, .events = POLLRDHUP, .revents = 0};
  return poll(&poll_fd, 1, static_cast<int>(time.count())) == 0 && !receiver_.stopping_;
}

void RawReceiver::Connection::wait_for_hangup() {
  while (pause(Wait(1000))) continue;
}

void RawReceiver::Connection::relay(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::array<char, 16384> buffer;
  if (connect(target, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    std::array<pollfd, 2> sides{pollfd{.fd = fd_, .events = POLLIN, .revents = 0},
                                pollfd{.fd = target, .events = POLLIN, .revents = 0}};
    while (poll(sides.data(), sides.size(), -1) > 0) {
      if (sides[0].revents != 0) {
        // Whole records, so that none is left inside the TLS layer, where poll() does not see it.
        const auto n = read_some(buffer.data(), buffer.size());
        if (n <= 0 || ::send(target, buffer.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL) != n) break;
      }
      if (sides[1].revents != 0) {
        const auto n = recv(target, buffer.data(), buffer.size(), 0);
        if (n <= 0 || !send({buffer.data(), static_cast<std::size_t>(n)})) break;
      }
    }
  }
  close(target);
}

void RawReceiver::Connection::reset() {
  const linger abrupt{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
}

RawReceiver::RawReceiver(Behaviour behaviour) : RawReceiver(std::move(behaviour), Options{}) {}

RawReceiver::RawReceiver(Behaviour behaviour, Options options)
    : options_(std::move(options)), behaviour_(std::move(behaviour)) {
  listener_ = listen_on(options_.address, port_);
  if (options_.certificate) tls_context_ = tls_context(*options_.certificate, options_.clients);
  acceptor_ = std::thread([this] { accept_connections(); });
}

RawReceiver::~RawReceiver() {
  stopping_ = true;
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  close(listener_);
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_fds_) shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();  // no thread is added any more
  SSL_CTX_free(static_cast<SSL_CTX*>(tls_context_));
}

void RawReceiver::accept_connections() {
  while (!stopping_) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const std::lock_guard lock(mutex_);
    const int number = static_cast<int>(++connections_);
    open_fds_.push_back(fd);
    threads_.emplace_back([this, fd, number] { serve(fd, number); });
    changed_.notify_all();
  }
}

void RawReceiver::serve(int fd, int number) {
  {
    Behaviour behaviour;
    {
      const std::lock_guard lock(mutex_);
      behaviour = behaviour_;
    }
    Connection connection(*this, fd, number);
    if (connection.start_tls()) {
      behaviour(connection);
    } else {
      connection.drain();
    }
  }
  const std::lock_guard lock(mutex_);
  std::erase(open_fds_, fd);
  close(fd);
  changed_.notify_all();
}

void RawReceiver::behave(Behaviour behaviour) {
  const std::lock_guard lock(mutex_);
  behaviour_ = std::move(behaviour);
}

std::string RawReceiver::url(std::string_view path) const {
  const bool v6 = options_.address.find(':') != std::string::npos;
  return url_of(v6 ? "[" + options_.address + "]" : options_.address, path);
}

std::string RawReceiver::url_of(std::string_view host, std::string_view path) const {
  std::string text = options_.certificate ? "https://" : "http://";
  return text.append(host).append(":").append(std::to_string(port_)).append(path);
}

std::vector<ReceivedRequest> RawReceiver::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t RawReceiver::request_count() const {
  const std::lock_guard lock(mutex_);
  return requests_.size();
}

std::size_t RawReceiver::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_;
}

std::size_t RawReceiver::open_connections() const {
  const std::lock_guard lock(mutex_);
  return open_fds_.size();
}

bool RawReceiver::wait_for_requests(std::size_t count, Wait patience) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return requests_.size() >= count; });
}

bool RawReceiver::wait_for_connections(std::size_t count, Wait patience) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return connections_ >= count; });
}

bool RawReceiver::wait_for_open_connections(std::size_t count, Wait patience) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return open_fds_.size() == count; });
}

namespace behaviour {

std::string response(int status, std::string_view body, std::initializer_list<std::string_view> fields) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " Status\r\n";
  for (const std::string_view field : fields) text.append(field).append("\r\n");
  text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  return text.append(body);
}

Behaviour answer(int status, std::string_view body, std::initializer_list<std::string_view> fields) {
  return [bytes = response(status, body, fields)](auto& connection) {
    while (connection.read_request()) {
      if (!connection.send(bytes)) return;
    }
  };
}

Behaviour send_and_close(std::string bytes) {
  return [bytes = std::move(bytes)](auto& connection) {
    if (connection.read_request()) connection.send(bytes);
  };
}

Behaviour send_and_hold(std::string bytes) {
  return [bytes = std::move(bytes)](auto& connection) {
    if (connection.read_request() && connection.send(bytes)) connection.wait_for_hangup();
  };
}

Behaviour drip(std::string bytes, Wait period) {
  return [bytes = std::move(bytes), period](auto& connection) {
    if (!connection.read_request()) return;
    for (const char& byte : bytes) {
      if (!connection.send({&byte, 1}) || !connection.pause(period)) return;
    }
  };
}

Behaviour endless(std::string head, std::string piece) {
  return [head = std::move(head), piece = std::move(piece)](auto& connection) {
    if (!connection.read_request() || !connection.send(head)) return;
    while (connection.send(piece)) continue;
  };
}

Behaviour silence() {
  return [](auto& connection) {
    while (connection.read_request()) continue;
  };
}

Behaviour reset() {
  return [](auto& connection) {
    connection.read_request();
    connection.reset();
  };
}

Behaviour in_turn(std::vector<Behaviour> each) {
  return [each = std::move(each)](auto& connection) {
    const auto index = static_cast<std::size_t>(connection.number() - 1);
    each[std::min(index, each.size() - 1)](connection);
  };
}

Behaviour half_header() {
  return send_and_close("HTTP/1.1 200 OK\r\nContent-Le");
}
Behaviour garbage() {
  return send_and_close("\x16\x03\x01 what is this?\r\n\r\n\r\n");
}
Behaviour two_lengths() {
  return send_and_hold("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\nokok");
}
Behaviour endless_headers() {
  return endless("HTTP/1.1 200 OK\r\n", "X-Filler: 0123456789012345678901234567890123456789\r\n");
}
Behaviour endless_body(int status) {
  return endless("HTTP/1.1 " + std::to_string(status) + " Status\r\n\r\n", std::string(4096, 'x'));
}
Behaviour endless_interim() {
  return endless("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
}

}  // namespace behaviour
}  // namespace outboxd::test
