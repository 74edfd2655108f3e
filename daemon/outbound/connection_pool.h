// The idle connections, kept for the next request to the same place. Nothing here costs more the more of them there
// are. It counts all sockets beyond one for each request, so it also lends places for the second socket of a dial
// (tcp_dial.h). Only for HttpSender, on its loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/time.h"
#include "outbound/connection.h"

namespace outboxd {

// Which requests a connection may serve, as far as its address is one of the request's and the policy allows it. TLS
// has verified the host by the authorities and with the client certificate of `tls`; plain connections are not shared
// between hosts either, because a receiver may tell them apart by the first request.
struct ConnectionKey {
  const TlsContext* tls = nullptr;  // null: plain
  std::string_view host;  // "" for the plain requests that a proxy forwards: they share its connections
  std::uint16_t port = 0;
  bool operator==(const ConnectionKey&) const = default;
};

// What the connections with one key have in common. It lives as long as one of them.
struct ConnectionGroup {
  std::string host;
  std::shared_ptr<TlsContext> context;
  ConnectionKey key;  // of these two
  Connection* newest_idle = nullptr;
};

class ConnectionPool {
 public:
  // A connection serves no longer than this, so that a change in DNS or at a load balancer is followed.
  static constexpr std::chrono::seconds kMaxAge{300};
  // Nor after it was idle for so long: few servers wait longer, and firewalls forget it without a word.
  static constexpr std::chrono::seconds kMaxIdle{118};

  explicit ConnectionPool(std::size_t max_idle) : max_idle_(max_idle) {}
  ~ConnectionPool();  // after all connections that are not in it
  ConnectionPool(const ConnectionPool&) = delete;

  std::shared_ptr<ConnectionGroup> group_of(const ConnectionKey& key, std::shared_ptr<TlsContext> context);

  // Keeps it for the next request, or closes it if it is too old. Beyond `max_idle` the one that was idle for the
  // longest time is closed.
  void give(std::unique_ptr<Connection> connection, MonotonicTime now);
  // The one that was used last, so that those that are not needed grow old; or null.
  std::unique_ptr<Connection> take(const ConnectionKey& key, MonotonicTime now);
  void close(Connection& idle);
  void clear();
  std::size_t idle() const { return idle_; }

  // A place for one more socket, until give_back(); the oldest idle connection makes room. False: there is none left,
  // because the addresses of names must not cost more than a part of what is kept.
  bool lend();
  void give_back() { --lent_; }

 private:
  struct Hash {
    std::size_t operator()(const ConnectionKey& key) const;
  };
  std::unique_ptr<Connection> remove(Connection& idle);
  bool is_full() const { return idle_ + lent_ > max_idle_; }

  const std::size_t max_idle_;
  std::unordered_map<ConnectionKey, std::weak_ptr<ConnectionGroup>, Hash> groups_;
  std::size_t idle_ = 0, lent_ = 0;
  Connection* newest_ = nullptr;
  Connection* oldest_ = nullptr;
};

}  // namespace outboxd
