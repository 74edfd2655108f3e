// Counts what each peer holds of the HTTP server, so that one peer cannot use up what is there for all. For one thread.
#pragma once

#include <sys/socket.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>

namespace outboxd::api {

// Callers that share a limit: an IPv4 address, an IPv6 /64 network (one host may have all its addresses), or a user on
// a Unix socket. Users of the admin socket are counted apart, so that a user's own producers cannot lock that user out
// as an operator.
struct Peer {
  enum class Kind : std::uint8_t { kIpv4, kIpv6, kProducer, kOperator };
  Kind kind = Kind::kIpv4;
  std::uint64_t id = 0;
  bool over_tcp() const { return kind == Kind::kIpv4 || kind == Kind::kIpv6; }
  auto operator<=>(const Peer&) const = default;  // NOLINT(modernize-use-nullptr): what is generated
};

Peer peer_at(const sockaddr_storage& address);  // of a TCP connection

class PeerTable {
 public:
  struct Use {
    std::size_t connections = 0;
    std::size_t bytes = 0;
  };
  Use of(const Peer& peer) const;
  const Use& over_tcp() const { return over_tcp_; }  // of all TCP peers together
  // Adds to its use, or takes away; a peer that uses nothing costs nothing.
  void count(const Peer& peer, std::ptrdiff_t connections, std::ptrdiff_t bytes);

 private:
  std::map<Peer, Use> uses_;
  Use over_tcp_;
};

}  // namespace outboxd::api
