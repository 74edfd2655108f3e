#include "app/listeners.h"

#include <algorithm>
#include <stdexcept>

#include "runtime/service_manager.h"

namespace outboxd {
namespace {

constexpr unsigned kSocketMode = 0660;

template <class T>
T or_throw(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().detail);
  return std::move(*result);
}

api::Listener adopted_listener(const AdoptedSocket& socket) {
  switch (socket.use) {
    case AdoptedSocket::Use::kIngest:
      return {socket.fd, api::Scope::kIngest, true, "ingest socket (systemd)"};
    case AdoptedSocket::Use::kAdmin:
      return {socket.fd, api::Scope::kAdmin, true, "admin socket (systemd)"};
    case AdoptedSocket::Use::kTcp:
      break;
  }
  return {socket.fd, api::Scope::kNone, false, "TCP socket (systemd)"};
}

}  // namespace

std::shared_ptr<const api::Authenticator> make_authenticator(const config::Config& config) {
  if (config.listen.tokens_file.empty()) return api::Authenticator::open();
  return or_throw(api::Authenticator::from_file(config.listen.tokens_file));
}

std::vector<api::Listener> open_listeners(const config::Config& config) {
  const auto& listen = config.listen;
  std::vector<api::Listener> listeners;
  const auto adopted = or_throw(adopt_sockets());
  const auto is_adopted = [&](AdoptedSocket::Use use) {
    return std::ranges::any_of(adopted, [use](const AdoptedSocket& socket) { return socket.use == use; });
  };
  for (const AdoptedSocket& socket : adopted) {
    // The configuration cannot see this address; without tokens whoever reaches it may do everything.
    if (socket.use == AdoptedSocket::Use::kTcp && !socket.loopback && listen.tokens_file.empty()) {
      throw std::runtime_error(
          "the TCP socket of systemd is not on loopback: set [listen] tokens_file, or ListenStream= to "
          "127.0.0.1:8877");
    }
    listeners.push_back(adopted_listener(socket));
  }
  if (!listen.ingest_socket.empty() && !is_adopted(AdoptedSocket::Use::kIngest)) {
    listeners.push_back(or_throw(
        api::listen_unix(listen.ingest_socket, kSocketMode, listen.ingest_group, api::Scope::kIngest)));
  }
  if (!listen.admin_socket.empty() && !is_adopted(AdoptedSocket::Use::kAdmin)) {
    listeners.push_back(
        or_throw(api::listen_unix(listen.admin_socket, kSocketMode, listen.admin_group, api::Scope::kAdmin)));
  }
  if (!listen.tcp.empty() && !is_adopted(AdoptedSocket::Use::kTcp)) {
    listeners.push_back(or_throw(api::listen_tcp(listen.tcp, api::Scope::kNone)));
  }
  if (listeners.empty())
    throw std::runtime_error("[listen] names no socket and no address: nobody could reach outboxd");
  return listeners;
}

}  // namespace outboxd
