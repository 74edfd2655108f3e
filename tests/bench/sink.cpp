#include "bench/sink.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <stdexcept>

#include "common/clock.h"
#include "common/signature.h"
#include "common/text.h"

namespace outboxd::bench {

struct Sink::Connection {
  int fd = -1;
  std::int64_t id = 0;  // file descriptors come back, these do not
  Tls tls;              // null: plain
  std::string in;
  std::int64_t hanging = -1;  // N of the /hang/N that is held; below 0: none
  bool waiting = false;       // an answer is to come later: what is read meanwhile stays in `in`
};

struct Sink::Request {
  std::string_view path, fields, body;

  std::string_view field(std::string_view name) const {
    for (std::size_t at = 0; at < fields.size();) {
      const std::size_t end = std::min(fields.find("\r\n", at), fields.size());
      const std::string_view line = fields.substr(at, end - at);
      if (line.size() > name.size() && line[name.size()] == ':' &&
          ascii_iequals(line.substr(0, name.size()), name)) {
        const std::size_t value = line.find_first_not_of(' ', name.size() + 1);
        return value == std::string_view::npos ? std::string_view() : line.substr(value);
      }
      at = end + 2;
    }
    return {};
  }
};

struct Sink::Answer {
  int status = 200;        // 0: none, it hangs
  std::int64_t delay = 0;  // ns
  std::int64_t hanging = 0;
};

namespace {

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

// "/fail/503/20": the words between the slashes, as many as there are.
std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> found;
  while (path.starts_with('/')) {
    path.remove_prefix(1);
    found.push_back(path.substr(0, path.find('/')));
    path.remove_prefix(found.back().size());
  }
  return found;
}

std::int64_t number_at(const std::vector<std::string_view>& path, std::size_t i, std::int64_t otherwise) {
  return i < path.size() ? parse_int(path[i]).value_or(otherwise) : otherwise;
}

std::string address_of(int host) {
  const in_addr address{.s_addr = htonl(INADDR_LOOPBACK + static_cast<in_addr_t>(host))};
  char text[INET_ADDRSTRLEN];
  return inet_ntop(AF_INET, &address, text, sizeof text);
}

std::unique_ptr<const SinkTls> make_tls(const Sink::Options& options) {
  if (options.tls_folder.empty()) return nullptr;
  std::vector<std::string> addresses;
  addresses.reserve(static_cast<std::size_t>(options.hosts));
  for (int host = 0; host < options.hosts; ++host) addresses.push_back(address_of(host));
  return std::make_unique<const SinkTls>(options.tls_folder, addresses);
}

bool later_than(const auto& a, const auto& b) {
  return a.when > b.when;
}

}  // namespace

const std::string& Sink::secret() {
  static const std::string secret = "whsec_" + base64_encode("a key of thirty-two octets, here");
  return secret;
}

Sink::Sink(const Options& options)
    : verify_every_(options.verify_every), hosts_(options.hosts), tls_(make_tls(options)) {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  stop_fd_ = eventfd(0, EFD_CLOEXEC);
  release_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  watch(stop_fd_);
  watch(release_fd_);
  listen_on_all_hosts();
  thread_ = std::thread([this] { run(); });
}

Sink::~Sink() {
  eventfd_write(stop_fd_, 1);
  thread_.join();
  for (const auto& connection : by_fd_) {
    if (connection) close(connection->fd);
  }
  for (const int fd : listen_fds_) close(fd);
  for (const int fd : {epoll_fd_, stop_fd_, release_fd_}) close(fd);
}

// The first one takes a free port, the others the same one: should it be taken there, all begin again.
void Sink::listen_on_all_hosts() {
  while (static_cast<int>(listen_fds_.size()) < hosts_) {
    const auto host = static_cast<in_addr_t>(listen_fds_.size());
    if (host == 0) port_ = 0;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + host);
    address.sin_port = htons(port_);
    socklen_t length = sizeof address;
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    listen_fds_.push_back(fd);
    if (bind(fd, name, length) == 0 && listen(fd, SOMAXCONN) == 0 && getsockname(fd, name, &length) == 0) {
      port_ = ntohs(address.sin_port);
      watch(fd);
      continue;
    }
    if (host == 0 || errno != EADDRINUSE) throw std::runtime_error("the sink cannot listen");
    for (const int taken : listen_fds_) close(taken);
    listen_fds_.clear();
  }
}

void Sink::watch(int fd) const {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
}

std::string Sink::url(const std::string& path, int number) const {
  return (tls_ ? "https://" : "http://") + address_of(number % hosts_) + ":" + std::to_string(port_) + path;
}

std::string Sink::trust() const {
  return tls_ ? R"(,"tls":{"ca_file":")" + tls_->authority_file() + "\"}" : "";
}

std::chrono::nanoseconds Sink::cpu() const {
  clockid_t clock{};
  timespec time{};
  pthread_getcpuclockid(const_cast<std::thread&>(thread_).native_handle(), &clock);
  clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

void Sink::expect(int stream, std::int64_t events) {
  const std::lock_guard lock(mutex_);
  streams_[stream] = {};
  streams_[stream].arrived.resize(static_cast<std::size_t>(events));
}

Sink::Tally Sink::tally(int stream) const {
  const std::lock_guard lock(mutex_);
  return streams_[stream].tally;
}

std::vector<Sample> Sink::arrivals(int stream) const {
  const std::lock_guard lock(mutex_);
  return streams_[stream].arrivals;
}

std::vector<bool> Sink::arrived(int stream) const {
  const std::lock_guard lock(mutex_);
  return streams_[stream].arrived;
}

Sample Sink::latest_arrival(int stream) const {
  const std::lock_guard lock(mutex_);
  const auto& arrivals = streams_[stream].arrivals;
  return arrivals.empty() ? Sample{} : arrivals.back();
}

Sink::Checks Sink::checks() const {
  const std::lock_guard lock(mutex_);
  return checks_;
}

void Sink::run() {
  epoll_event events[256];
  while (true) {
    const int n = epoll_wait(epoll_fd_, events, 256, timeout_ms());
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == stop_fd_) return;
      if (fd == release_fd_) {
        answer_the_hanging();
      } else if (std::ranges::binary_search(listen_fds_, fd)) {
        accept_all(fd);
      } else if (by_fd_[static_cast<std::size_t>(fd)]) {
        read_from(*by_fd_[static_cast<std::size_t>(fd)]);
      }
    }
    reply_to_the_slow();
  }
}

int Sink::timeout_ms() const {
  if (later_.empty()) return -1;
  return static_cast<int>(std::max<std::int64_t>(0, (later_.front().when - now_ns() + 999'999) / 1'000'000));
}

void Sink::accept_all(int listen_fd) {
  const auto host =
      static_cast<std::size_t>(std::ranges::lower_bound(listen_fds_, listen_fd) - listen_fds_.begin());
  while (true) {
    const int fd = accept4(listen_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const auto slot = static_cast<std::size_t>(fd);
    if (by_fd_.size() <= slot) by_fd_.resize(slot + 1);
    by_fd_[slot] = std::make_unique<Connection>();
    by_fd_[slot]->fd = fd;
    by_fd_[slot]->id = ++connections_opened_;
    if (tls_) by_fd_[slot]->tls = tls_->accept(fd, host);
    ++connections_now_;
    watch(fd);
  }
}

void Sink::drop(Connection& connection) {
  if (connection.hanging >= 0) no_longer_hanging(connection);
  --connections_now_;
  const int fd = connection.fd;
  close(fd);
  by_fd_[static_cast<std::size_t>(fd)].reset();
}

void Sink::read_from(Connection& connection) {
  if (connection.tls) {
    if (!read_tls(connection)) return drop(connection);
    return answer_requests(connection);
  }
  char chunk[65536];
  const ssize_t got = read(connection.fd, chunk, sizeof chunk);
  if (got < 0 && errno == EAGAIN) return;  // the event was for an earlier connection with this descriptor
  if (got <= 0) return drop(connection);
  connection.in.append(chunk, static_cast<std::size_t>(got));
  answer_requests(connection);
}

// False when the connection has ended.
bool Sink::read_tls(Connection& connection) {
  char chunk[65536];
  do {
    ERR_clear_error();
    const int got = SSL_read(connection.tls.get(), chunk, sizeof chunk);
    if (got > 0) {
      connection.in.append(chunk, static_cast<std::size_t>(got));
      continue;
    }
    const int error = SSL_get_error(connection.tls.get(), got);
    if (error == SSL_ERROR_WANT_READ) return true;
    if (error == SSL_ERROR_SSL) {
      char text[256];
      ERR_error_string_n(ERR_peek_error(), text, sizeof text);
      complain(checks_.not_understood, "TLS: " + std::string(text));
    }
    return false;
  } while (SSL_has_pending(connection.tls.get()) != 0);
  return true;
}

void Sink::answer_requests(Connection& connection) {
  std::string answers;
  std::size_t done = 0;
  while (!connection.waiting && connection.hanging < 0) {
    const std::string_view in = std::string_view(connection.in).substr(done);
    const auto head_end = in.find("\r\n\r\n");
    if (head_end == std::string_view::npos) break;
    const auto line_end = in.find("\r\n");
    Request request{.path = {}, .fields = in.substr(line_end, head_end - line_end), .body = {}};
    request.fields.remove_prefix(std::min<std::size_t>(2, request.fields.size()));
    const auto length = static_cast<std::size_t>(parse_int(request.field("content-length")).value_or(0));
    if (in.size() < head_end + 4 + length) break;
    const std::string_view line = in.substr(0, line_end);
    const auto path_at = std::min(line.find(' '), line.size() - 1) + 1;
    request.path = line.substr(path_at, line.find(' ', path_at) - path_at);
    request.body = in.substr(head_end + 4, length);

    const Answer answer = answer_to(request);
    done += head_end + 4 + length;
    if (answer.status == 0) {
      hang(connection, answer.hanging);
    } else if (answer.delay > 0) {
      connection.waiting = true;
      later_.push_back({now_ns() + answer.delay, connection.fd, connection.id});
      std::ranges::push_heap(later_, later_than<Later, Later>);
    } else if (answer.status == 200) {
      answers += kOk;
    } else {
      answers += "HTTP/1.1 " + std::to_string(answer.status) + " As told\r\nContent-Length: 0\r\n\r\n";
    }
  }
  connection.in.erase(0, done);
  if (!answers.empty() && !reply(connection, answers)) drop(connection);
}

void Sink::set_hanging(bool hanging) {
  hanging_ = hanging;
  if (!hanging) eventfd_write(release_fd_, 1);
}

void Sink::hang(Connection& connection, std::int64_t number) {
  const auto slot = static_cast<std::size_t>(number);
  if (held_by_.size() <= slot) held_by_.resize(slot + 1);
  connection.hanging = number;
  if (++held_by_[slot] == 1) ++hanging_now_;
}

void Sink::no_longer_hanging(Connection& connection) {
  if (--held_by_[static_cast<std::size_t>(connection.hanging)] == 0) {
    const int now = --hanging_now_;
    fewest_hanging_ = std::min(fewest_hanging_.load(), now);
  }
  connection.hanging = -1;
}

void Sink::answer_the_hanging() {
  eventfd_t value = 0;
  eventfd_read(release_fd_, &value);
  for (const auto& connection : by_fd_) {
    if (!connection || connection->hanging < 0) continue;
    no_longer_hanging(*connection);
    if (reply(*connection, kOk)) {
      answer_requests(*connection);
    } else {
      drop(*connection);
    }
  }
}

// Answers are small, and a sender that does not read them has a full socket buffer only if it never reads.
bool Sink::reply(Connection& connection, std::string_view text) {
  const auto length = static_cast<int>(text.size());
  if (connection.tls) return SSL_write(connection.tls.get(), text.data(), length) == length;
  return send(connection.fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

void Sink::reply_to_the_slow() {
  while (!later_.empty() && later_.front().when <= now_ns()) {
    const Later now = later_.front();
    std::ranges::pop_heap(later_, later_than<Later, Later>);
    later_.pop_back();
    Connection* const connection = by_fd_[static_cast<std::size_t>(now.fd)].get();
    if (connection == nullptr || connection->id != now.connection) continue;  // it has hung up meanwhile
    connection->waiting = false;
    if (!reply(*connection, kOk)) {
      drop(*connection);
      continue;
    }
    answer_requests(*connection);
  }
}

Sink::Answer Sink::answer_to(const Request& request) {
  const auto path = segments(request.path);
  const std::string_view behaviour = path.empty() ? std::string_view() : path[0];
  Answer answer;
  if (behaviour == "hang") {
    if (hanging_) answer.status = 0;
    answer.hanging = std::max<std::int64_t>(0, number_at(path, 1, 0));
  } else if (behaviour == "slow") {
    answer.delay = number_at(path, 1, 0) * 1'000'000;
  } else if (behaviour == "fail") {
    dice_ = dice_ * 1664525u + 1013904223u;  // the same fate in every run
    if ((dice_ >> 16) % 100 < static_cast<std::uint32_t>(number_at(path, 2, 100)))
      answer.status = static_cast<int>(number_at(path, 1, 500));
  } else if (behaviour != "ok") {
    complain(checks_.not_understood, "a request for " + std::string(request.path));
  }
  if (++requests_ % static_cast<std::uint64_t>(verify_every_) == 0) verify(request);
  take(request, answer.status == 200);
  return answer;
}

void Sink::take(const Request& request, bool accepted) {
  auto mark = mark_of(request.body);
  if (mark && mark->number == kNumberFromPath) mark->number = number_at(segments(request.path), 1, -1);
  if (!mark || mark->number < 0 ||
      mark->number >= static_cast<std::int64_t>(streams_[mark->stream].arrived.size())) {
    return complain(checks_.not_understood, "the event " + std::string(request.body.substr(0, 60)));
  }
  Stream& stream = streams_[mark->stream];
  ++stream.tally.requests;
  if (!accepted) return;
  const auto slot = static_cast<std::size_t>(mark->number);
  if (stream.arrived[slot]) {
    ++stream.tally.repeats;
    return;
  }
  stream.arrived[slot] = true;
  ++stream.tally.arrived;
  stream.arrivals.push_back({mark->due, now_ns()});
}

void Sink::verify(const Request& request) {
  const SignedMessage message{.id = request.field("webhook-id"),
                              .timestamp = request.field("webhook-timestamp"),
                              .signature = request.field("webhook-signature"),
                              .body = request.body};
  ++checks_.verified;
  if (const auto verified = outboxd::verify(secret(), message, SystemClock().wall()); !verified)
    complain(checks_.badly_signed, verified.error().detail);
}

void Sink::complain(std::int64_t& count, const std::string& what) {
  ++count;
  if (checks_.first_complaint.empty()) checks_.first_complaint = what;
}

}  // namespace outboxd::bench
