// Who holds how much of the HTTP server, so that one peer cannot take what is there for all. For one thread.
#pragma once

#include <sys/socket.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>

namespace outboxd::api {

// Those that share a limit: an IPv4 address, an IPv6 network of a site (its /64: one host may have all its
// addresses), a user on a Unix socket. The admin socket's are apart, so that what a user's producers do does
// not lock the user out as operator.
struct Peer {
  enum class Kind : std::uint8_t { kIpv4, kIpv6, kProducer, kOperator };
  Kind kind = Kind::kIpv4;
  std::uint64_t id = 0;
  bool over_tcp() const { return kind == Kind::kIpv4 || kind == Kind::kIpv6; }
  auto operator<=>(const Peer&) const = default;  // NOLINT(modernize-use-nullptr): what is generated
};

Peer peer_at(const sockaddr_storage& address);  // of TCP

class PeerTable {
 public:
  struct Use {
    std::size_t connections = 0;
    std::size_t bytes = 0;
  };
  Use of(const Peer& peer) const;
  const Use& over_tcp() const { return over_tcp_; }  // by all its peers
  // Adds to its use, or takes away; a peer that uses nothing costs nothing.
  void count(const Peer& peer, std::ptrdiff_t connections, std::ptrdiff_t bytes);

 private:
  std::map<Peer, Use> uses_;
  Use over_tcp_;
};

}  // namespace outboxd::api
