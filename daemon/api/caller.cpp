#include "api/caller.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>

namespace outboxd::api {
namespace {

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

Caller tcp_caller(int fd, Scope scope, bool tls) {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0)
    return {scope, false, "unknown", "", {}, tls};
  return {scope, false, tcp_peer(peer), tcp_local_address(fd), peer_at(peer), tls};
}

}  // namespace

std::shared_ptr<const Caller> describe_caller(int fd, const Listener& listener) {
  return std::make_shared<const Caller>(listener.unix_socket
                                            ? unix_caller(fd, listener.scope)
                                            : tcp_caller(fd, listener.scope, listener.tls != nullptr));
}

}  // namespace outboxd::api
