#include "outbound/connection_setup.h"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "outbound/request_writer.h"
#include "outbound/transfer.h"

namespace outboxd {

ConnectionSetup::ConnectionSetup(const Environment& environment, Transfer& transfer,
                                 std::span<const IpAddress> addresses)
    : HandshakeQueue::Entry(environment.handshakes), environment_(environment), transfer_(transfer) {
  const Proxy& proxy = environment_.proxy;
  const std::uint16_t port = proxy.url.empty() ? transfer.request.to->url.port : proxy.port;
  const Millis patience = std::min(transfer.request.connect_timeout, transfer.request.timeout);
  dial_ = std::make_unique<TcpDial>(environment_.loop, environment_.pool, *this, addresses, port, patience);
}

void ConnectionSetup::start() {
  dial_->start();
}

Stage ConnectionSetup::stage() const {
  const bool in_handshake = layer_ == Layer::kProxyTls || layer_ == Layer::kTargetTls;
  return in_handshake ? Stage::kTlsHandshake : Stage::kConnecting;
}

std::string ConnectionSetup::remote_address() const {
  return connection_ ? connection_->remote_address() : "";
}

bool ConnectionSetup::may_open(const IpAddress& address) {
  const auto why = environment_.owner.why_socket_denied(transfer_, address);
  if (why) environment_.owner.on_socket_denied(transfer_, *why);
  return !why;
}

void ConnectionSetup::on_dial_failed(int error) {
  fail(connect_failure(error));
}

void ConnectionSetup::on_dialed(int fd, const IpAddress& address) {
  const Proxy& proxy = environment_.proxy;
  const std::uint16_t port = proxy.url.empty() ? transfer_.request.to->url.port : proxy.port;
  connection_ = std::make_unique<Connection>(environment_.loop, fd, address, port);
  transfer_.times.connected = connection_->opened_at;
  next_layer();
}

void ConnectionSetup::next_layer() {
  const Proxy& proxy = environment_.proxy;
  const bool https = transfer_.request.to->url.https;
  if (proxy.https && layer_ < Layer::kProxyTls) return start_proxy_tls();
  if (!proxy.url.empty() && https && layer_ < Layer::kTunnel) return start_tunnel();
  if (https && layer_ < Layer::kTargetTls) return start_target_tls();
  environment_.owner.on_set_up(transfer_, std::move(connection_));
}

void ConnectionSetup::start_proxy_tls() {
  layer_ = Layer::kProxyTls;
  const Proxy& proxy = environment_.proxy;
  auto context = environment_.contexts.find(nullptr, connection_->opened_at);
  if (!context) return fail({Outcome::kTls, "proxy: " + context.error()});
  connection_->start_tls(std::move(*context), proxy.host, proxy.port);
  start_handshake();
}

void ConnectionSetup::start_target_tls() {
  layer_ = Layer::kTargetTls;
  // The way there is complete only now.
  if (!environment_.proxy.url.empty()) transfer_.times.connected = std::chrono::steady_clock::now();
  connection_->start_tls(transfer_.tls, transfer_.request.to->url.host, transfer_.request.to->url.port);
  start_handshake();
}

// Edge-triggered: a handshake that waits for its turn must not be reported again and again.
void ConnectionSetup::start_handshake() {
  try {
    connection_->watch(EPOLLIN | EPOLLOUT | EPOLLET, [this](std::uint32_t) { on_ready(); });
  } catch (const std::system_error& full) {  // the system's limit of watches
    return fail(connect_failure(full.code().value()));
  }
  environment_.handshakes.enter(*this);
}

void ConnectionSetup::shake_hands() {
  const Connection::Io io = connection_->shake_hands();
  if (io == Connection::Io::kWantRead || io == Connection::Io::kWantWrite) return;
  if (io != Connection::Io::kDone) {
    Failure failure = connection_->failure(io);
    if (layer_ == Layer::kProxyTls) failure.text.insert(0, "proxy: ");
    return fail(std::move(failure));
  }
  if (layer_ == Layer::kTargetTls) transfer_.times.tls = std::chrono::steady_clock::now();
  next_layer();
}

void ConnectionSetup::on_ready() {
  if (layer_ != Layer::kTunnel) return environment_.handshakes.enter(*this);
  if (!unsent_.empty()) return ask_for_tunnel();
  read_tunnel_answer();
}

void ConnectionSetup::start_tunnel() {
  layer_ = Layer::kTunnel;
  tunnel_answer_ = std::make_unique<ResponseReader>(0, ResponseReader::Answers::kConnect);
  append_connect_head(unsent_, transfer_.request.to->url.host_port(), environment_.proxy.authorization());
  try {
    connection_->watch(EPOLLIN | EPOLLOUT | EPOLLET, [this](std::uint32_t) { on_ready(); });
  } catch (const std::system_error& full) {
    return fail(connect_failure(full.code().value()));
  }
  ask_for_tunnel();
}

void ConnectionSetup::ask_for_tunnel() {
  while (!unsent_.empty()) {
    const Connection::Moved moved = connection_->write(unsent_, {});
    if (moved.step == Connection::Io::kWantRead || moved.step == Connection::Io::kWantWrite) return;
    // Whoever refuses a tunnel may have answered and hung up.
    if (moved.step != Connection::Io::kDone) break;
    unsent_.erase(0, moved.bytes);
  }
  unsent_.clear();
  read_tunnel_answer();
}

void ConnectionSetup::read_tunnel_answer() {
  std::array<char, 4096> buffer;
  while (!tunnel_answer_->head_complete()) {
    const Connection::Moved moved = connection_->read(buffer);
    if (moved.step == Connection::Io::kWantRead || moved.step == Connection::Io::kWantWrite) return;
    if (moved.step != Connection::Io::kDone)
      return fail({Outcome::kConnect, "proxy: " + connection_->failure(moved.step).text});
    const std::size_t taken = tunnel_answer_->read({buffer.data(), moved.bytes});
    if (!tunnel_answer_->refusal().empty())
      return fail({Outcome::kConnect, "proxy: " + tunnel_answer_->refusal()});
    // Whatever came with the head would be taken for the target's.
    if (tunnel_answer_->complete() && taken < moved.bytes)
      return fail({Outcome::kConnect, "proxy: it sent more than its answer"});
  }
  if (std::string why = why_no_tunnel(tunnel_answer_->status()); !why.empty())
    return fail({Outcome::kConnect, std::move(why)});
  tunnel_answer_.reset();
  next_layer();
}

void ConnectionSetup::fail(Failure failure) {
  environment_.owner.on_setup_failed(transfer_, std::move(failure));
}

}  // namespace outboxd
