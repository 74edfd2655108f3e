#include "runtime/service_manager.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <optional>

namespace outboxd {
namespace {

// Each line is a separate assignment, so control characters in a status become spaces.
std::string status_line(std::string_view status) {
  std::string line = "STATUS=";
  for (const char c : status) line.push_back(static_cast<unsigned char>(c) < ' ' ? ' ' : c);
  return line;
}

// A service manager that cannot be reached is no reason to stop serving or to wait, whereas sd_notify(3) would wait for
// one that does not read. A message without room is dropped; the watchdog is notified again a second later.
void notify(const std::string& state) {
  const char* const name = std::getenv("NOTIFY_SOCKET");
  const std::string_view path(name != nullptr ? name : "");
  sockaddr_un address{};
  if (path.empty() || path.size() >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  if (path.front() == '@') address.sun_path[0] = '\0';  // an abstract name
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  sendto(fd, state.data(), state.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
         reinterpret_cast<const sockaddr*>(&address), length);
  close(fd);
}

std::optional<InheritedSocket::Use> use_of(std::string_view name) {
  if (name == "ingest") return InheritedSocket::Use::kIngest;
  if (name == "admin") return InheritedSocket::Use::kAdmin;
  if (name == "tcp") return InheritedSocket::Use::kTcp;
  return std::nullopt;
}

std::string why_refused(int fd, std::string_view name) {
  const auto use = use_of(name);
  if (!use) return "its name is none of ingest, admin and tcp; set FileDescriptorName= in the socket unit";
  if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0) {
    return "it is not a listening stream socket; use ListenStream= and Accept=no in the socket unit";
  }
  const bool is_unix = sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0;
  if (is_unix == (*use == InheritedSocket::Use::kTcp)) {
    return is_unix ? "a Unix socket cannot be named tcp; name it ingest or admin"
                   : "it is not a Unix socket, and callers of ingest and admin are trusted by file mode; "
                     "name it tcp";
  }
  return "";
}

bool is_loopback(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return false;
  if (address.ss_family == AF_UNIX) return true;
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  return address.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

// Frees the names allocated by sd_listen_fds_with_names, one by one and then the array.
struct FreeNames {
  void operator()(char** names) const {
    for (char** name = names; *name != nullptr; ++name) std::free(*name);
    std::free(names);
  }
};

}  // namespace

void ServiceManager::ready(std::string_view status) const {
  notify("READY=1\n" + status_line(status));
}

void ServiceManager::reloading() const {
  // Type=notify-reload (systemd 253) requires the time.
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto usec = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(usec));
}

void ServiceManager::stopping(std::string_view status) const {
  notify("STOPPING=1\n" + status_line(status));
}

void ServiceManager::starting(std::string_view status, Millis patience) const {
  const auto usec = std::chrono::microseconds(patience).count();
  notify("EXTEND_TIMEOUT_USEC=" + std::to_string(usec) + "\n" + status_line(status));
}

void ServiceManager::status(std::string_view status) const {
  notify(status_line(status));
}

void ServiceManager::watchdog() const {
  notify("WATCHDOG=1");
}

Result<std::vector<InheritedSocket>> inherited_sockets() {
  char** raw_names = nullptr;
  const int n = sd_listen_fds_with_names(1, &raw_names);
  const std::unique_ptr<char*, FreeNames> names(raw_names);
  if (n < 0) {
    return problem(
        ProblemCode::kMalformed,
        "the sockets of the service manager cannot be taken over (LISTEN_FDS): error " + std::to_string(-n));
  }
  std::vector<InheritedSocket> sockets;
  for (int i = 0; i < n; ++i) {
    const int fd = SD_LISTEN_FDS_START + i;
    const std::string name = names.get()[i];
    if (const auto why = why_refused(fd, name); !why.empty()) {
      return problem(ProblemCode::kMalformed,
                     std::string("socket \"").append(name).append("\" of the service manager: ").append(why));
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    sockets.push_back({*use_of(name), fd, is_loopback(fd)});
  }
  return sockets;
}

}  // namespace outboxd
