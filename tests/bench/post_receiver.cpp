#include "bench/post_receiver.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace outboxd::bench {
namespace {

constexpr int kQueue = 4096;
constexpr std::string_view kKeep =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
constexpr std::string_view kClose =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

Context context_of(const PostReceiver::Options& options) {
  Context context(nullptr, SSL_CTX_free);
  if (!options.certificate) return context;
  context.reset(SSL_CTX_new(TLS_server_method()));
  options.certificate->use_in(context.get());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_num_tickets(context.get(), options.resumes_sessions ? 1 : 0);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  return context;
}

// The receiver's own process: one thread over epoll.
class Server {
 public:
  Server(const PostReceiver::Options& options, const std::array<int, PostReceiver::kPorts>& listeners,
         PostReceiver::Counts& counts)
      : options_(options), counts_(counts), context_(context_of(options)), epoll_(epoll_create1(0)) {
    for (const int listener : listeners) watch(listener);
    last_listener_ = *std::max_element(listeners.begin(), listeners.end());
  }

  [[noreturn]] void serve() {
    std::array<epoll_event, 256> events;
    for (;;) {
      const int n = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < n; ++i) on_ready(events[static_cast<std::size_t>(i)].data.fd);
    }
  }

 private:
  struct Connection {
    SSL* tls = nullptr;
    std::string seen;  // of a request that is not complete
  };

  void watch(int fd) const {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void on_ready(int fd) {
    if (fd <= last_listener_) return accept_from(fd);
    Connection& connection = connections_[static_cast<std::size_t>(fd)];
    std::array<char, 16384> buffer;
    // TLS may hold a whole record that epoll knows nothing of.
    do {
      const auto n = read_some(fd, connection, buffer);
      if (n < 0) return;
      if (n == 0) return drop(fd, connection);
      connection.seen.append(buffer.data(), static_cast<std::size_t>(n));
    } while (connection.tls != nullptr && SSL_pending(connection.tls) > 0);
    if (!is_whole(connection.seen)) return;
    connection.seen.clear();
    ++counts_.requests;
    if (options_.answers) answer(fd, connection);
  }

  void accept_from(int listener) {
    for (;;) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const auto index = static_cast<std::size_t>(fd);
      if (index >= connections_.size()) connections_.resize(index + 1024);
      if (context_) {
        connections_[index].tls = SSL_new(context_.get());
        SSL_set_fd(connections_[index].tls, fd);
        SSL_set_accept_state(connections_[index].tls);
      }
      ++counts_.accepted;
      ++counts_.open;
      watch(fd);
    }
  }

  // 0: the connection has ended; negative: nothing yet.
  static std::ptrdiff_t read_some(int fd, Connection& connection, std::array<char, 16384>& buffer) {
    if (connection.tls == nullptr) {
      const auto n = recv(fd, buffer.data(), buffer.size(), 0);
      return n >= 0 ? n : errno == EAGAIN ? -1 : 0;
    }
    const int n = SSL_read(connection.tls, buffer.data(), static_cast<int>(buffer.size()));
    if (n > 0) return n;
    return SSL_get_error(connection.tls, n) == SSL_ERROR_WANT_READ ? -1 : 0;
  }

  static bool is_whole(std::string_view request) {
    const auto head = request.find("\r\n\r\n");
    const auto length = request.find("Content-Length: ");
    if (head == std::string_view::npos || length >= head) return false;
    return request.size() >= head + 4 + std::strtoul(request.data() + length + 16, nullptr, 10);
  }

  void answer(int fd, Connection& connection) {
    const std::string_view text = options_.keeps_connections ? kKeep : kClose;
    if (connection.tls == nullptr) {
      send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    } else {
      SSL_write(connection.tls, text.data(), static_cast<int>(text.size()));
    }
    if (!options_.keeps_connections) drop(fd, connection);
  }

  void drop(int fd, Connection& connection) {
    if (connection.tls != nullptr) SSL_shutdown(connection.tls);
    SSL_free(connection.tls);
    connection = {};
    close(fd);
    --counts_.open;
  }

  const PostReceiver::Options& options_;
  PostReceiver::Counts& counts_;
  const Context context_;
  const int epoll_;
  int last_listener_ = -1;
  std::vector<Connection> connections_;  // by file descriptor
};

int listen_on_loopback(std::uint16_t& port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, name, length) != 0 || listen(fd, kQueue) != 0 ||
      getsockname(fd, name, &length) != 0) {
    fail("receiver");
  }
  port = ntohs(address.sin_port);
  return fd;
}

}  // namespace

PostReceiver::PostReceiver(const Options& options) {
  void* const shared =
      mmap(nullptr, sizeof *counts_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) fail("mmap");
  counts_ = new (shared) Counts{};
  for (std::size_t i = 0; i < kPorts; ++i) listeners_[i] = listen_on_loopback(ports_[i]);
  const pid_t parent = getpid();
  process_ = fork();
  if (process_ < 0) fail("fork");
  if (process_ == 0) {
    std::signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    Server(options, listeners_, *counts_).serve();
  }
  for (const int listener : listeners_) close(listener);
}

PostReceiver::~PostReceiver() {
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
  munmap(counts_, sizeof *counts_);
}

}  // namespace outboxd::bench
