#include "runtime/service_manager.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

using namespace outboxd;

namespace {

sockaddr_un abstract_address(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  return address;
}

// The service manager's end: a datagram socket that NOTIFY_SOCKET names.
class NotifySocket {
 public:
  NotifySocket() : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    const std::string name = "outboxd-test-notify-" + std::to_string(getpid());
    const auto address = abstract_address(name);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    REQUIRE(bind(fd_, reinterpret_cast<const sockaddr*>(&address), length) == 0);
    setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
  }
  ~NotifySocket() {
    unsetenv("NOTIFY_SOCKET");
    close(fd_);
  }
  NotifySocket(const NotifySocket&) = delete;

  std::string receive() const {
    std::array<char, 1024> buffer{};
    const auto n = recv(fd_, buffer.data(), buffer.size(), 0);
    return n < 0 ? "nothing" : std::string(buffer.data(), n);
  }

 private:
  int fd_;
};

int listening_socket(int family, int type = SOCK_STREAM, in_addr_t host = INADDR_LOOPBACK) {
  const int fd = socket(family, type | SOCK_CLOEXEC, 0);
  if (family == AF_INET) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(host);
    REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  } else {
    const sa_family_t unnamed = AF_UNIX;  // the kernel picks an abstract name
    REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&unnamed), sizeof unnamed) == 0);
  }
  if (type == SOCK_STREAM) REQUIRE(listen(fd, 8) == 0);
  return fd;
}

// Runs `check` in a child whose descriptors 3, 4 … are these and are announced as systemd does. True if it
// returned true.
bool in_activated_child(const std::vector<int>& fds, const std::string& names,
                        const std::function<bool()>& check) {
  std::fflush(nullptr);  // or the child writes it again
  const pid_t child = fork();
  if (child == 0) {
    std::vector<int> high;
    high.reserve(fds.size());
    for (const int fd : fds) high.push_back(fcntl(fd, F_DUPFD, 100));
    for (std::size_t i = 0; i < high.size(); ++i) dup2(high[i], 3 + static_cast<int>(i));
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", std::to_string(fds.size()).c_str(), 1);
    setenv("LISTEN_FDNAMES", names.c_str(), 1);
    _exit(check() ? 0 : 1);
  }
  for (const int fd : fds) close(fd);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::function<bool()> refused_with(const std::string& reason) {
  return [reason] {
    const auto sockets = inherited_sockets();
    return !sockets && sockets.error().detail.find(reason) != std::string::npos;
  };
}

}  // namespace

TEST_CASE("the states reach the service manager") {
  const NotifySocket socket;
  const ServiceManager manager;
  manager.ready("serving");
  CHECK(socket.receive() == "READY=1\nSTATUS=serving");
  manager.status("1 pending");
  CHECK(socket.receive() == "STATUS=1 pending");
  manager.watchdog();
  CHECK(socket.receive() == "WATCHDOG=1");
  manager.reloading();
  CHECK(socket.receive().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  manager.stopping("waiting for 3 attempts");
  CHECK(socket.receive() == "STOPPING=1\nSTATUS=waiting for 3 attempts");
}

TEST_CASE("a status with line ends stays one assignment") {
  const NotifySocket socket;
  ServiceManager().status("a\nWATCHDOG=1\r\x1b[2J");
  CHECK(socket.receive() == "STATUS=a WATCHDOG=1  [2J");
}

TEST_CASE("without a service manager nothing happens") {
  unsetenv("NOTIFY_SOCKET");
  const ServiceManager manager;
  manager.ready("x");
  manager.watchdog();
  const auto sockets = inherited_sockets();
  REQUIRE(sockets);
  CHECK(sockets->empty());
}

TEST_CASE("sockets of socket units are adopted by name, also two of one name") {
  CHECK(
      in_activated_child({listening_socket(AF_UNIX), listening_socket(AF_UNIX), listening_socket(AF_INET),
                          listening_socket(AF_INET)},
                         "ingest:admin:tcp:tcp", [] {
                           using Use = InheritedSocket::Use;
                           const auto sockets = inherited_sockets();
                           if (!sockets || sockets->size() != 4) return false;
                           const std::array<Use, 4> uses = {Use::kIngest, Use::kAdmin, Use::kTcp, Use::kTcp};
                           for (int i = 0; i < 4; ++i) {
                             const auto& socket = (*sockets)[i];
                             if (socket.use != uses[i] || socket.fd != 3 + i || !socket.loopback)
                               return false;
                             if ((fcntl(socket.fd, F_GETFL) & O_NONBLOCK) == 0) return false;
                             if ((fcntl(socket.fd, F_GETFD) & FD_CLOEXEC) == 0) return false;
                           }
                           return getenv("LISTEN_FDS") == nullptr;  // not for children of ours
                         }));
}

TEST_CASE("sockets that would be served with the wrong rights are refused") {
  CHECK(in_activated_child({listening_socket(AF_INET)}, "ingest", refused_with("not a Unix socket")));
  CHECK(in_activated_child({listening_socket(AF_INET)}, "admin", refused_with("not a Unix socket")));
  CHECK(in_activated_child({listening_socket(AF_UNIX)}, "tcp", refused_with("cannot be named tcp")));
  CHECK(
      in_activated_child({listening_socket(AF_UNIX)}, "outboxd.socket", refused_with("FileDescriptorName=")));
  CHECK(in_activated_child({listening_socket(AF_UNIX, SOCK_DGRAM)}, "ingest", refused_with("ListenStream=")));
}

TEST_CASE("a TCP socket that other machines can reach is told apart") {
  CHECK(in_activated_child({listening_socket(AF_INET, SOCK_STREAM, INADDR_ANY)}, "tcp", [] {
    const auto sockets = inherited_sockets();
    return sockets && sockets->size() == 1 && !sockets->front().loopback;
  }));
}

TEST_CASE("a service manager that does not read holds up nobody") {
  const NotifySocket socket;
  const ServiceManager manager;
  // Far beyond what a datagram socket queues (net.unix.max_dgram_qlen): sd_notify(3) would wait for room for ever.
  for (int i = 0; i < 5000; ++i) manager.watchdog();
  CHECK(socket.receive() == "WATCHDOG=1");
}
