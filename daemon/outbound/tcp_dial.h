// Makes one TCP connection out of the addresses of a name ("happy eyeballs", RFC 8305): when one has not answered after
// a moment, or has failed, the next is tried beside it, and the first to answer wins. No more than two are tried at a
// time, and the second socket is one of those that the pool may lend: otherwise the next takes the place of the first.
// The one place where a socket to a receiver is opened, so its owner is asked about each address.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "outbound/address_policy.h"
#include "outbound/connection_pool.h"
#include "runtime/event_loop.h"

namespace outboxd {

// The order in which addresses are tried: as found, but families in turn, so that a host whose IPv6 is dead costs one
// wait and not one for each of its IPv6 addresses.
std::vector<IpAddress> in_turn_by_family(std::span<const IpAddress> addresses);

class TcpDial {  // every call on the loop's thread
 public:
  class Owner {
   public:
    // May a socket to this address be opened? If not, the owner has destroyed the dial.
    virtual bool may_open(const IpAddress& address) = 0;
    // One of the two ends the dial; the owner may destroy it. It owns the socket, which the loop does not watch.
    virtual void on_dialed(int fd, const IpAddress& address) = 0;
    virtual void on_dial_failed(int error) = 0;  // an errno, of the last address

   protected:
    ~Owner() = default;
  };

  // All addresses have been tried within `patience`, after which the owner gives up.
  TcpDial(EventLoop& loop, ConnectionPool& pool, Owner& owner, std::span<const IpAddress> addresses,
          std::uint16_t port, Millis patience);
  ~TcpDial();  // closes what it has opened
  TcpDial(const TcpDial&) = delete;

  void start();  // may call the owner at once

  // A zone's owner chooses how many addresses a name has, so their number must not say how many sockets are opened.
  static constexpr Millis kNextAfter{200};

 private:
  struct Try {
    int fd;
    IpAddress address;
  };
  enum class Opened { kWaiting, kEnded, kFailed };

  void try_next();
  Opened open(const IpAddress& address);
  void on_ready(int fd);
  void won(int fd, const IpAddress& address);
  void give_up_first();
  void close_all();
  void set_timer();
  void wait(Millis time, bool takes_place);

  EventLoop& loop_;
  ConnectionPool& pool_;
  Owner& owner_;
  const std::vector<IpAddress> addresses_;
  const std::uint16_t port_;
  const Millis share_;  // of the patience, for each address
  std::size_t next_ = 0;
  std::vector<Try> under_way_;  // the first one first
  bool has_second_ = false;     // the pool's, for a second one
  int error_ = 0;
  std::optional<EventLoop::TimerId> timer_;
};

}  // namespace outboxd
