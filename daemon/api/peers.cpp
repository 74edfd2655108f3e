#include "api/peers.h"

#include <netinet/in.h>

#include <cstring>

namespace outboxd::api {

Peer peer_at(const sockaddr_storage& address) {
  if (address.ss_family != AF_INET6)
    return {Peer::Kind::kIpv4, reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr};
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    in_addr_t v4 = 0;
    std::memcpy(&v4, &v6.s6_addr[12], sizeof v4);
    return {Peer::Kind::kIpv4, v4};
  }
  std::uint64_t network = 0;
  std::memcpy(&network, &v6.s6_addr, sizeof network);
  return {Peer::Kind::kIpv6, network};
}

PeerTable::Use PeerTable::of(const Peer& peer) const {
  const auto found = uses_.find(peer);
  return found != uses_.end() ? found->second : Use{};
}

void PeerTable::count(const Peer& peer, std::ptrdiff_t connections, std::ptrdiff_t bytes) {
  const auto it = uses_.try_emplace(peer).first;
  it->second.connections += static_cast<std::size_t>(connections);
  it->second.bytes += static_cast<std::size_t>(bytes);
  if (peer.over_tcp()) {
    over_tcp_.connections += static_cast<std::size_t>(connections);
    over_tcp_.bytes += static_cast<std::size_t>(bytes);
  }
  if (it->second.connections == 0 && it->second.bytes == 0) uses_.erase(it);
}

}  // namespace outboxd::api
