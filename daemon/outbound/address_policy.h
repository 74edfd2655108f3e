// Where requests may go. Denied by default: an address is allowed if it is globally reachable according to the IANA
// special-purpose registries, or if the operator allows it; deny_networks always wins. Pure: no I/O, and the same
// answer every time.
#pragma once

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/endpoint_url.h"
#include "common/problem.h"

namespace outboxd {

// An IPv4 address is stored as IPv4. IPv6 addresses that embed an IPv4 address are checked as both.
struct IpAddress {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};  // IPv4 uses the first 4
  bool operator==(const IpAddress&) const = default;
  // A dotted quad or RFC 4291 text, without a zone or brackets.
  static std::optional<IpAddress> parse(std::string_view text);
  static std::optional<IpAddress> from_sockaddr(const sockaddr* address);
  std::string to_string() const;
};

struct Network {  // "10.0.0.0/8", "fc00::/7", or one address
  IpAddress base;
  int prefix = 0;
  static std::optional<Network> parse(std::string_view cidr);  // host bits must be zero
  bool contains(const IpAddress& address) const;
};

// "localhost" and names under it never leave the host (RFC 6761 6.3): they stand for these addresses, whatever DNS
// says.
bool is_localhost(std::string_view host);
inline constexpr std::array<IpAddress, 2> kLoopback = {
    IpAddress{.v6 = true, .bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
    IpAddress{.v6 = false, .bytes = {127, 0, 0, 1}}};

// Why something may not be reached. For logs, metrics and operators only; subscribers and tenants are told just
// kUrlNotAllowed, because the reason would reveal the internal network.
struct Denial {
  std::string_view reason;  // one of a few: "scheme", "port", "loopback", "private use", "deny_networks" ...
  std::string text;         // for operators: "address 10.0.0.1 is not allowed: private use"
  // Everything that must be set to allow it, as written in the configuration: "set [policy] allow_http = true,
  // allow_networks = [\"10.0.0.0/8\"]". Empty: no setting would.
  std::string remedy = {};
  std::string for_operators() const;  // text and remedy together
};

class AddressPolicy {
 public:
  struct OwnListener {
    Network network;
    std::uint16_t port = 0;
    bool everywhere = false;  // it listens on 0.0.0.0 or [::]
  };
  struct Options {
    bool allow_http = false;
    std::vector<Network> allow_networks;           // exceptions from the default deny
    std::vector<Network> deny_networks;            // wins over every allowance
    std::vector<std::uint16_t> ports = {80, 443};  // empty: any
    // Names ("hooks.corp" or "*.corp") whose addresses are exempt from the default deny.
    std::vector<std::string> allow_hosts;
    // Where this daemon itself listens: always denied, or a URL could reach the API from within.
    std::vector<OwnListener> own_listeners;
  };
  explicit AddressPolicy(Options options);

  // Checks what the URL alone tells: scheme, port, a literal address, names that never leave the host (localhost and
  // its like).
  std::optional<Denial> why_denied(const EndpointUrl& url) const;
  // Checks one address that `host` resolved to or that a socket is about to connect to.
  std::optional<Denial> why_denied(std::string_view host, std::uint16_t port, const IpAddress& address) const;
  // Checks a connection to this port of this machine.
  std::optional<Denial> why_own_port_denied(std::uint16_t port) const;

 private:
  struct Settings;  // the settings of [policy] that are missing

  std::optional<Denial> first_denial(const EndpointUrl& url) const;
  bool takes_port(std::uint16_t port) const;
  void add_missing(const IpAddress& address, Settings& settings) const;
  std::string remedy_for(const EndpointUrl& url) const;

  Options options_;
};

}  // namespace outboxd
