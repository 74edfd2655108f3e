#include "api/quotas.h"

namespace outboxd::api {

std::optional<HttpRefusal> Quotas::why_no_place(const Peer& peer) const {
  const bool of_operator = peer.kind == Peer::Kind::kOperator;
  if (all_.connections >= limits_.connections + (of_operator ? kAdminPlaces : 0))
    return HttpRefusal{503, "Too many connections are open; try again in a moment."};
  if (peer.over_tcp() && peers_.over_tcp().connections >= of_tcp(limits_.connections))
    return HttpRefusal{503, "Too many connections over TCP are open; try again in a moment."};
  if (peers_.of(peer).connections >= limits_.connections_per_peer)
    return HttpRefusal{503, "You have too many connections open; close some, or try again in a moment."};
  return std::nullopt;
}

std::optional<HttpRefusal> Quotas::why_no_memory(const Peer& peer) const {
  const std::size_t bytes = limits_.bytes;
  const bool of_operator = peer.kind == Peer::Kind::kOperator;
  if (all_.bytes > (of_operator ? bytes : bytes - bytes / kAdminShareOfBuffer)) {
    return HttpRefusal{
        503, "The requests and answers under way fill the memory set aside for them; try again in a moment."};
  }
  if (peer.over_tcp() && peers_.over_tcp().bytes > of_tcp(bytes)) {
    return HttpRefusal{
        503,
        "The requests and answers under way over TCP fill the memory set aside for them; try again "
        "in a moment."};
  }
  if (peers_.of(peer).bytes > bytes / 2) {
    return HttpRefusal{503,
                       "Your requests and answers under way fill half of the memory set aside for all; try "
                       "again in a moment."};
  }
  return std::nullopt;
}

void Quotas::change_bytes(const Peer& peer, std::size_t before, std::size_t now) {
  if (before != now) count(peer, 0, static_cast<std::ptrdiff_t>(now - before));
}

void Quotas::count(const Peer& peer, std::ptrdiff_t connections, std::ptrdiff_t bytes) {
  all_.connections += static_cast<std::size_t>(connections);
  all_.bytes += static_cast<std::size_t>(bytes);
  peers_.count(peer, connections, bytes);
}

}  // namespace outboxd::api
