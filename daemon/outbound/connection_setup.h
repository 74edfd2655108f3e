// Makes a connection that a request can be sent on: TCP to one of the addresses, TLS to an https proxy, the tunnel
// through a proxy, TLS to the target. Only for HttpSender, on its loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "outbound/address_policy.h"
#include "outbound/connection.h"
#include "outbound/failure.h"
#include "outbound/handshake_queue.h"
#include "outbound/proxy.h"
#include "outbound/response_reader.h"
#include "outbound/tcp_dial.h"
#include "outbound/tls_contexts.h"

namespace outboxd {

class Transfer;

// When a transfer's stages were over; absent if they were not.
struct SetupTimes {
  std::optional<MonotonicTime> resolved, connected, tls;
};

class ConnectionSetup final : public TcpDial::Owner, private HandshakeQueue::Entry {
 public:
  // Each of these may destroy the setup.
  class Owner {
   public:
    virtual std::optional<Denial> why_socket_denied(const Transfer& transfer, const IpAddress& address) = 0;
    virtual void on_socket_denied(Transfer& transfer, const Denial& denial) = 0;
    virtual void on_set_up(Transfer& transfer, std::unique_ptr<Connection> connection) = 0;
    virtual void on_setup_failed(Transfer& transfer, Failure failure) = 0;

   protected:
    ~Owner() = default;
  };
  // What all setups share; outlives them.
  struct Environment {
    EventLoop& loop;
    Owner& owner;
    const Proxy& proxy;
    TlsContexts& contexts;
    HandshakeQueue& handshakes;
    ConnectionPool& pool;
  };

  // `addresses`: the target's, or the proxy's if there is one.
  ConnectionSetup(const Environment& environment, Transfer& transfer, std::span<const IpAddress> addresses);

  void start();  // may call the owner at once
  Stage stage() const;
  std::string remote_address() const;  // "" without a connection

 private:
  enum class Layer { kTcp, kProxyTls, kTunnel, kTargetTls };

  bool may_open(const IpAddress& address) override;
  void on_dialed(int fd, const IpAddress& address) override;
  void on_dial_failed(int error) override;
  void shake_hands() override;

  void next_layer();
  void start_proxy_tls();
  void start_target_tls();
  void start_handshake();
  void start_tunnel();
  void on_ready();
  void ask_for_tunnel();
  void read_tunnel_answer();
  void fail(Failure failure);

  const Environment& environment_;
  Transfer& transfer_;
  std::unique_ptr<TcpDial> dial_;
  Layer layer_ = Layer::kTcp;
  std::unique_ptr<Connection> connection_;
  std::string unsent_;  // of the request for a tunnel
  std::unique_ptr<ResponseReader> tunnel_answer_;
};

}  // namespace outboxd
