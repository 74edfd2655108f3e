#include "api/listeners.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace outboxd::api {
namespace {

constexpr int kBacklog = 1024;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

tl::unexpected<Problem> cannot(const std::string& what, const std::string& advice = "") {
  return problem(ProblemCode::kUnavailable, "cannot listen on " + what + advice);
}
std::string with_errno(const std::string& name, int error) {
  return name + ": " + std::strerror(error);
}

// "127.0.0.1:8877" or "[::1]:8877" to its two parts, or two empty ones.
std::pair<std::string, std::string> split_address(const std::string& address) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos || colon + 1 == address.size()) return {};
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return {};
  }
  return {host, address.substr(colon + 1)};
}

// getaddrinfo would take 99999 for a port, modulo 65536.
bool is_port(const std::string& text) {
  std::uint16_t port = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

std::string bound_name(int fd) {
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &length);
  getnameinfo(reinterpret_cast<sockaddr*>(&bound), length, host.data(), host.size(), port.data(), port.size(),
              NI_NUMERICHOST | NI_NUMERICSERV);
  const std::string name = bound.ss_family == AF_INET6 ? "[" + std::string(host.data()) + "]" : host.data();
  return name + ":" + port.data();
}

// Makes room for a socket file: removes one that a dead process left, and refuses anything else that is there.
Result<void> clear_stale_socket(const sockaddr_un& address) {
  const std::string path = address.sun_path;
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return cannot(with_errno(path, errno), "; check that its directory exists and can be entered.");
  }
  if (!S_ISSOCK(status.st_mode))
    return cannot(path, ": a file that is no socket is there; remove it or configure another path.");
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (probe.get() < 0) return cannot(with_errno(path, errno));
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
      errno == EAGAIN) {
    return cannot(path, ": another process answers there; stop it or configure another path.");
  }
  if (errno != ECONNREFUSED)
    return cannot(with_errno(path, errno),
                  "; a socket file is there that could not be tried; remove it if it is stale.");
  if (unlink(path.c_str()) != 0 && errno != ENOENT)
    return cannot(with_errno(path, errno), "; the stale socket file could not be removed.");
  return {};
}

Result<gid_t> find_group(const std::string& path, const std::string& group) {
  constexpr std::size_t kMaxBytes = 16u << 20;  // a group may have very many members
  struct group entry {};
  struct group* found = nullptr;
  int error = ERANGE;
  for (std::vector<char> buffer(16384); error == ERANGE && buffer.size() <= kMaxBytes;
       buffer.resize(4 * buffer.size()))
    error = getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (error != 0) return cannot(with_errno(path, error), "; the group " + group + " cannot be looked up.");
  if (found == nullptr)
    return cannot(path,
                  ": there is no group " + group + "; create it (systemd-sysusers) or configure another.");
  return found->gr_gid;
}

Result<void> set_access(const std::string& path, unsigned mode, const std::string& group) {
  if (!group.empty()) {
    const auto gid = find_group(path, group);
    if (!gid) return tl::unexpected(gid.error());
    if (chown(path.c_str(), static_cast<uid_t>(-1), *gid) != 0) {
      return cannot(with_errno(path, errno),
                    "; its group could not be set to " + group + ": is the daemon's user a member?");
    }
  }
  if (chmod(path.c_str(), mode) != 0) return cannot(with_errno(path, errno), "; its mode could not be set.");
  return {};
}

}  // namespace

Result<Listener> listen_tcp(const std::string& address, Scope scope) {
  const auto [host, port] = split_address(address);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (host.empty() || !is_port(port) || getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) {
    return cannot(address, ": the address must be of the form 127.0.0.1:8877 or [::1]:8877.");
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  Fd fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return cannot(with_errno(address, errno));
  const int on = 1;
  // So that a restart need not wait for old connections in TIME_WAIT; it does not let two listeners share the port.
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (found->ai_family == AF_INET6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || listen(fd.get(), kBacklog) != 0) {
    const int error = errno;
    return cannot(
        with_errno(address, error),
        error == EADDRINUSE ? "; is another outboxd running? Stop it or configure another port." : "");
  }
  std::string name = bound_name(fd.get());
  return Listener{fd.release(), scope, false, std::move(name), ""};
}

Result<Listener> listen_unix(const std::string& path, unsigned mode, const std::string& group, Scope scope) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path || path.find('\0') != std::string::npos) {
    return cannot("'" + path + "'", ": a Unix socket's path must have 1 to " +
                                        std::to_string(sizeof address.sun_path - 1) + " bytes.");
  }
  path.copy(address.sun_path, path.size());
  if (auto cleared = clear_stale_socket(address); !cleared) return tl::unexpected(cleared.error());
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return cannot(with_errno(path, errno));
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return cannot(with_errno(path, errno),
                  "; check that its directory exists and the daemon's user may write to it.");
  }
  // Until listen(), connecting is refused: nobody gets in while the umask's mode is still on the file.
  auto ready = set_access(path, mode, group);
  if (ready && listen(fd.get(), kBacklog) != 0) ready = cannot(with_errno(path, errno));
  if (!ready) {
    unlink(path.c_str());
    return tl::unexpected(ready.error());
  }
  return Listener{fd.release(), scope, true, path, path};
}

}  // namespace outboxd::api
