// Limits how many connections, and how many bytes of requests and answers, each caller may hold, so that no caller uses
// up what is there for all. Only counts: it knows no sockets. Belongs to the loop's thread.
#pragma once

#include <cstddef>
#include <optional>

#include "api/http_refusal.h"
#include "api/peers.h"

namespace outboxd::api {

// If there are Unix sockets, all TCP callers together leave one part in this many of both limits to them: a connection
// counts before its caller has shown a token, and on loopback a caller may have as many addresses as it likes.
inline constexpr std::size_t kShareOfUnixSockets = 4;
// Reserved for operators on the admin Unix socket, so that they get in when everybody else is at the limits: this many
// connections beyond the limit, and the last sixteenth of the bytes.
inline constexpr std::size_t kAdminPlaces = 16;
inline constexpr std::size_t kAdminShareOfBuffer = 16;

class Quotas {
 public:
  struct Limits {
    std::size_t connections = 0;
    std::size_t connections_per_peer = 0;
    std::size_t bytes = 0;  // one peer: half of it
    bool unix_sockets = false;
  };
  explicit Quotas(const Limits& limits) : limits_(limits) {}

  // Why this peer may not have one more connection; nullopt: it may.
  std::optional<HttpRefusal> why_no_place(const Peer& peer) const;
  // Why no more bytes are taken from this peer for now; nullopt: they are.
  std::optional<HttpRefusal> why_no_memory(const Peer& peer) const;

  void add_connection(const Peer& peer) { count(peer, 1, 0); }
  void remove_connection(const Peer& peer) { count(peer, -1, 0); }
  void change_bytes(const Peer& peer, std::size_t before, std::size_t now);

 private:
  void count(const Peer& peer, std::ptrdiff_t connections, std::ptrdiff_t bytes);
  // How much of a limit TCP may use.
  std::size_t of_tcp(std::size_t all) const {
    return limits_.unix_sockets ? all - all / kShareOfUnixSockets : all;
  }

  const Limits limits_;
  PeerTable peers_;
  PeerTable::Use all_;
};

}  // namespace outboxd::api
