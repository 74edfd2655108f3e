// Who may hold how many connections, and how many bytes of requests and answers, so that no caller takes what is there
// for all. Only counts: it knows no sockets. Belongs to the loop's thread.
#pragma once

#include <cstddef>
#include <optional>

#include "api/http_refusal.h"
#include "api/peers.h"

namespace outboxd::api {

// All callers over TCP together leave this part of both to the Unix sockets, if there are any: nobody has shown a token
// yet when a connection takes its place, and on loopback a caller may have as many addresses as it likes.
inline constexpr std::size_t kShareOfUnixSockets = 4;
// Operators on the admin Unix socket find room when all others hold what they may: so many connections beyond the
// limit, and the last sixteenth of the bytes.
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
  // Why nothing more is taken from this peer, by what is held now; nullopt: more is.
  std::optional<HttpRefusal> why_no_memory(const Peer& peer) const;

  void add_connection(const Peer& peer) { count(peer, 1, 0); }
  void remove_connection(const Peer& peer) { count(peer, -1, 0); }
  void change_bytes(const Peer& peer, std::size_t before, std::size_t now);

 private:
  void count(const Peer& peer, std::ptrdiff_t connections, std::ptrdiff_t bytes);
  // What TCP may have of something.
  std::size_t of_tcp(std::size_t all) const {
    return limits_.unix_sockets ? all - all / kShareOfUnixSockets : all;
  }

  const Limits limits_;
  PeerTable peers_;
  PeerTable::Use all_;
};

}  // namespace outboxd::api
