// One open connection to a receiver, or to the proxy on the way to one: a TCP socket, and TLS over it where the target
// or the proxy has it. Reads and writes without waiting. Decides nothing: who may use it, and for how long, is up to
// the pool and the sender.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/time.h"
#include "outbound/address_policy.h"
#include "outbound/failure.h"
#include "outbound/tls_stream.h"
#include "runtime/event_loop.h"

namespace outboxd {

struct ConnectionGroup;
class Transfer;

class Connection {  // every call on the loop's thread
 public:
  using Io = TlsStream::Step;  // a plain connection has neither kTruncated nor kFailed
  using Moved = TlsStream::Moved;

  // `fd` is connected and belongs to the connection from now on.
  Connection(EventLoop& loop, int fd, const IpAddress& address, std::uint16_t port);
  ~Connection();  // closes it; over TLS with a close_notify, if that can be sent at once
  Connection(const Connection&) = delete;

  // Calls `handler` when the socket is ready for `events`; replaces an earlier one. Throws std::system_error when the
  // system has no room for another watch.
  void watch(std::uint32_t events, EventLoop::FdHandler handler);
  // What the handler is called for from now on: EPOLLIN, EPOLLOUT or both. It is always called for an end.
  void wait_for(std::uint32_t events);

  // Begins TLS over what there is, which may be TLS already.
  void start_tls(std::shared_ptr<TlsContext> context, std::string_view host, std::uint16_t port);
  Io shake_hands();
  Moved read(std::span<char> into);
  // Writes as much as there is room for: of `first`, then of `second`. After kWantWrite the rest of the same bytes
  // comes next.
  Moved write(std::string_view first, std::string_view second);
  // Lets the end be a reset: for a request that was not sent as a whole, so that the kernel keeps nothing of it for a
  // receiver that does not read.
  void reset_at_end();
  // What the call that came to kEnded, kTruncated, kFailed or kBroken means for a request.
  Failure failure(Io io) const;
  // False for an idle connection that has ended, or at which something arrived that nobody asked for.
  bool is_quiet();
  // For a connection over TLS on which a request is about to be sent, and later: whether more has come since than its
  // mere end accounts for. A part of a record counts, although no byte of it can be read.
  void begin_to_listen();
  bool has_heard() const;
  // True if bytes were taken from the socket that nobody has read yet, so that the handler is not called for them.
  bool holds_bytes() const;

  bool encrypted() const { return tls_ != nullptr; }
  const IpAddress& address() const { return address_; }
  const std::string& remote_address() const { return remote_address_; }  // as in Attempt
  std::optional<Time> certificate_expires_at() const;
  // Both ends have the same address, so it is this machine, whatever addresses it was given since the start.
  bool leads_to_this_machine() const { return to_this_machine_; }

  std::shared_ptr<ConnectionGroup> group;  // the requests that it may serve; set once it is set up
  std::uint64_t allowed_by = 0;            // the policy (by its generation) that allowed its last request
  Transfer* transfer = nullptr;            // that uses it; null while it is idle
  bool kept = false;                       // it has served a request
  const MonotonicTime opened_at;

 private:
  friend class ConnectionPool;

  EventLoop& loop_;
  const int fd_;
  const IpAddress address_;
  const std::string remote_address_;
  const bool to_this_machine_;
  bool watched_ = false;
  std::uint32_t waits_for_ = 0;
  int error_ = 0;  // the errno of the last call that came to kBroken
  std::uint64_t received_before_ = 0;
  std::unique_ptr<TlsStream> tls_;  // the innermost: it has that to an https proxy inside

  // The pool's while it is idle: its neighbours among those of its group, and among all.
  MonotonicTime idle_since_{};
  Connection* newer_of_group_ = nullptr;
  Connection* older_of_group_ = nullptr;
  Connection* newer_ = nullptr;
  Connection* older_ = nullptr;
};

}  // namespace outboxd
