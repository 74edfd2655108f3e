// What HttpSender consists of. The path of a transfer: starting_ -> (resolving_) -> a kept connection, or a new one by
// ConnectionSetup -> the exchange on it -> finish(), or once more from the start. All transfers are in active_, and
// each has one timer. Only for the sources of HttpSender.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "outbound/connection_pool.h"
#include "outbound/connection_setup.h"
#include "outbound/deferred.h"
#include "outbound/handshake_queue.h"
#include "outbound/http_sender.h"
#include "outbound/proxy.h"
#include "outbound/resolver.h"
#include "outbound/tls_contexts.h"
#include "outbound/tls_files.h"
#include "outbound/transfer.h"
#include "telemetry/log.h"

namespace outboxd {

class HttpSender::Impl final : public ConnectionSetup::Owner {
 public:
  Impl(EventLoop& loop, std::shared_ptr<const AddressPolicy> policy, Options options);
  ~Impl();

  void send(SendRequest request, Done done);
  void start_all();
  void set_policy(const std::shared_ptr<const AddressPolicy>& policy);
  std::size_t in_flight() const { return active_.size(); }
  void abort(std::int64_t group);
  void abort_all();

 private:
  using Found = void (Impl::*)(Transfer&, std::span<const IpAddress> addresses, const std::string& error);

  // From the request to the addresses that it may go to.
  void start(Transfer& transfer);
  std::optional<Failure> find_tls(Transfer& transfer);
  void find(Transfer& transfer, const std::string& name, Found then);
  void on_addresses(Transfer& transfer, std::span<const IpAddress> addresses, const std::string& error);
  void on_proxy_addresses(Transfer& transfer, std::span<const IpAddress> addresses, const std::string& error);
  void check_addresses(Transfer& transfer, std::span<const IpAddress> found);

  // Connections.
  bool direct() const { return proxy_.url.empty(); }
  ConnectionKey key_of(const Transfer& transfer) const;
  void connect(Transfer& transfer, std::span<const IpAddress> addresses);
  std::unique_ptr<Connection> kept_connection(const Transfer& transfer, std::span<const IpAddress> addresses);
  std::optional<Denial> why_denied_now(const Transfer& transfer, Connection& connection) const;
  std::optional<Denial> why_socket_denied(const Transfer& transfer, const IpAddress& address) override;
  void on_socket_denied(Transfer& transfer, const Denial& denial) override;
  void on_set_up(Transfer& transfer, std::unique_ptr<Connection> connection) override;
  void on_setup_failed(Transfer& transfer, Failure failure) override;

  // The exchange of request and response.
  void exchange(Transfer& transfer, std::unique_ptr<Connection> connection);
  void on_ready(Connection& connection, std::uint32_t events);
  void on_progress(Transfer& transfer, Transfer::Progress progress);
  void on_head_complete(Transfer& transfer);

  // Ends.
  void set_timer(Transfer& transfer, MonotonicTime when);
  void on_timer(Transfer& transfer);
  void on_deadline(Transfer& transfer);
  void fail(Transfer& transfer, Failure failure);
  void deny(Transfer& transfer, const Denial& denial);
  void finish(Transfer& transfer, SendResult result);
  std::unique_ptr<Transfer> remove(Transfer& transfer);

  EventLoop& loop_;
  const Options options_;
  const Proxy proxy_;
  const std::string proxy_authorization_;
  std::shared_ptr<const AddressPolicy> policy_;
  std::uint64_t policy_generation_ = 1;
  Resolver resolver_;
  TlsFiles tls_files_;
  TlsContexts tls_contexts_;
  log::Budget denial_log_;
  HandshakeQueue handshakes_;
  ConnectionSetup::Environment setup_environment_;
  ConnectionPool pool_;
  std::vector<std::unique_ptr<Transfer>> active_;
  std::deque<Transfer*> starting_;  // null: it has ended meanwhile
  std::uint64_t first_turn_ = 0;    // of the first one there
  std::unordered_map<std::uint64_t, Transfer*> resolving_;
  std::uint64_t next_id_ = 1;
  Deferred start_;
  // Every connection reads into the one, and every request's head is written in the other.
  std::array<char, 32u << 10> buffer_;
  std::string scratch_;
};

}  // namespace outboxd
