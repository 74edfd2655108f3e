#include "app/listeners.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <utility>

#include "common/secret_file.h"
#include "runtime/secret_file_reader.h"
#include "runtime/service_manager.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

constexpr unsigned kSocketMode = 0660;

template <class T>
T or_throw(Result<T> result, const std::string& what = "") {
  if (!result) throw std::runtime_error(what + result.error().detail);
  return std::move(*result);
}

api::Listener inherited_listener(const InheritedSocket& socket) {
  switch (socket.use) {
    case InheritedSocket::Use::kIngest:
      return {socket.fd, api::Scope::kIngest, true, "ingest socket (systemd)"};
    case InheritedSocket::Use::kAdmin:
      return {socket.fd, api::Scope::kAdmin, true, "admin socket (systemd)"};
    case InheritedSocket::Use::kTcp:
      break;
  }
  return {socket.fd, api::Scope::kNone, false, "TCP socket (systemd)"};
}

// Every address of this machine: where a listener on 0.0.0.0 or [::] can be reached.
std::vector<IpAddress> own_addresses() {
  std::vector<IpAddress> addresses;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return addresses;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(all, freeifaddrs);
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    if (const auto address = IpAddress::from_sockaddr(one->ifa_addr)) addresses.push_back(*address);
  }
  return addresses;
}

Network only(const IpAddress& address) {
  return {address, address.v6 ? 128 : 32};
}

}  // namespace

std::vector<AddressPolicy::OwnListener> own_listeners(const std::vector<api::Listener>& listeners) {
  std::vector<AddressPolicy::OwnListener> own;
  for (const api::Listener& listener : listeners) {
    if (listener.unix_socket) continue;
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    if (getsockname(listener.fd, reinterpret_cast<sockaddr*>(&bound), &length) != 0) continue;
    const auto address = IpAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&bound));
    if (!address) continue;
    const std::uint16_t port = ntohs(address->v6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                                 : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
    const bool everywhere = *address == IpAddress{.v6 = address->v6};
    own.push_back({only(*address), port, everywhere});
    // Connecting to 0.0.0.0 or :: connects to this machine.
    for (const char* unspecified : {"0.0.0.0/8", "::/128"})
      own.push_back({Network::parse(unspecified).value(), port});
    if (!everywhere) continue;
    for (const char* loopback : {"127.0.0.0/8", "::1/128"})
      own.push_back({Network::parse(loopback).value(), port});
    for (const IpAddress& mine : own_addresses()) own.push_back({only(mine), port});
  }
  return own;
}

std::shared_ptr<const api::Authenticator> make_authenticator(const config::Config& config) {
  if (config.listen.tokens_file.empty()) return api::Authenticator::without_tokens();
  const std::string path = secret_file_path(config.listen.tokens_file);
  auto authenticator = or_throw(api::Authenticator::from_file(path), "[listen] tokens_file: ");
  if (!authenticator->has_tokens())
    throw std::runtime_error(
        "[listen] tokens_file: " + path +
        ": the tokens file lists no token; nobody could call. Add one (outboxctl token create) or "
        "remove tokens_file.");
  return authenticator;
}

std::shared_ptr<api::TlsServer> tls_server(const config::Config& config) {
  if (config.listen.tls_cert.empty()) return nullptr;
  return or_throw(api::TlsServer::from_files(secret_file_path(config.listen.tls_cert),
                                             secret_file_path(config.listen.tls_key)));
}

std::string reload_tls(const std::vector<api::Listener>& listeners, const std::string& last_error) {
  std::string error;
  for (const api::Listener& listener : listeners) {
    if (!listener.tls) continue;
    if (const auto read = listener.tls->reload(); !read) error = read.error().detail;
  }
  if (!error.empty() && error != last_error)
    log::error("the TLS certificate of the API stays as it was; tried again every second",
               {{"error", error}});
  if (error.empty() && !last_error.empty()) log::info("the TLS certificate of the API was read");
  return error;
}

std::shared_ptr<const api::Authenticator> TokensFile::read_if_changed() {
  if (path_.empty()) return nullptr;
  if (access(path_.c_str(), F_OK) != 0 && errno == ENOENT) {
    text_.reset();
    if (std::exchange(gone_, true)) return nullptr;
    log::warn("the tokens file is gone: nobody may call over TCP", {{"file", path_}});
    return api::Authenticator::nobody();
  }
  auto text = read_secret_file(path_);
  if (!text) return unreadable(text.error().detail);
  if (text_ == *text) {
    error_.clear();
    return nullptr;
  }
  auto read = api::Authenticator::from_text(*text, path_);
  if (!read) return unreadable(read.error().detail);
  if (text_ || gone_ || !error_.empty()) log::info("the tokens were read again", {{"file", path_}});
  text_ = std::move(*text);
  gone_ = false;
  error_.clear();
  return *read;
}

std::shared_ptr<const api::Authenticator> TokensFile::unreadable(const std::string& why) {
  if (std::exchange(error_, why) != why)
    log::error("the tokens_file cannot be read, the tokens before stay until it can", {{"error", why}});
  return nullptr;
}

std::vector<api::Listener> open_listeners(const config::Config& config) {
  const auto& listen = config.listen;
  std::vector<api::Listener> listeners;
  const auto inherited = or_throw(inherited_sockets());
  const auto is_inherited = [&](InheritedSocket::Use use) {
    return std::ranges::any_of(inherited, [use](const InheritedSocket& socket) { return socket.use == use; });
  };
  for (const InheritedSocket& socket : inherited) {
    // The configuration does not know this address, and without tokens whoever reaches it may send events.
    if (socket.use == InheritedSocket::Use::kTcp && !socket.loopback && listen.tokens_file.empty()) {
      throw std::runtime_error(
          "the TCP socket of systemd is not on loopback: set [listen] tokens_file, or ListenStream= to "
          "127.0.0.1:8877");
    }
    listeners.push_back(inherited_listener(socket));
  }
  if (!listen.ingest_socket.empty() && !is_inherited(InheritedSocket::Use::kIngest)) {
    listeners.push_back(or_throw(
        api::listen_unix(listen.ingest_socket, kSocketMode, listen.ingest_group, api::Scope::kIngest)));
  }
  if (!listen.admin_socket.empty() && !is_inherited(InheritedSocket::Use::kAdmin)) {
    listeners.push_back(
        or_throw(api::listen_unix(listen.admin_socket, kSocketMode, listen.admin_group, api::Scope::kAdmin)));
  }
  if (!listen.tcp.empty() && !is_inherited(InheritedSocket::Use::kTcp)) {
    listeners.push_back(or_throw(api::listen_tcp(listen.tcp, api::Scope::kNone)));
  }
  if (const auto tls = tls_server(config)) {
    for (api::Listener& listener : listeners) {
      if (!listener.unix_socket) listener.tls = tls;
    }
  }
  if (listeners.empty())
    throw std::runtime_error("[listen] names no socket and no address: nobody could reach outboxd");
  return listeners;
}

}  // namespace outboxd
