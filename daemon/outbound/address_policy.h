// Where requests may go. Default deny: an address is allowed when it is globally reachable by the IANA
// special-purpose registries, or when the operator allows it; deny_networks always wins. Pure: no I/O, one
// answer for one question.
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

// An IPv4 address is kept as IPv4; the IPv6 forms that contain one are checked by both.
struct IpAddress {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};  // the first 4 for IPv4
  bool operator==(const IpAddress&) const = default;
  static std::optional<IpAddress> parse(
      std::string_view text);  // dotted quad or RFC 4291, no zone, no brackets
  static std::optional<IpAddress> from_sockaddr(const sockaddr* address);
  std::string to_string() const;
};

struct Network {  // "10.0.0.0/8", "fc00::/7", or one address
  IpAddress base;
  int prefix = 0;
  static std::optional<Network> parse(std::string_view cidr);  // host bits must be zero
  bool contains(const IpAddress& address) const;
};

// "localhost" and names under it never leave the host (RFC 6761 6.3): they are these addresses, whatever DNS
// says.
bool is_localhost(std::string_view host);
inline constexpr std::array<IpAddress, 2> kLoopback = {
    IpAddress{.v6 = true, .bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
    IpAddress{.v6 = false, .bytes = {127, 0, 0, 1}}};

// Why something may not be reached. For logs, metrics and operators; subscribers and tenants are told kUrlNotAllowed
// alone, for the reason would map the inside of the network.
struct Denial {
  std::string_view reason;  // one of a few: "scheme", "port", "loopback", "private use", "deny_networks" ...
  std::string text;         // for operators: "address 10.0.0.1 is not allowed: private use"
  // What would allow it, all that it takes, as it stands in the configuration:
  // "set [policy] allow_http = true, allow_networks = [\"10.0.0.0/8\"]". "": nothing would.
  std::string remedy = {};
  std::string for_operators() const;  // both
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
    std::vector<std::string>
        allow_hosts;  // names ("hooks.corp" or "*.corp") whose addresses are exempt from the default deny
    // Where this daemon itself listens: denied whatever is allowed, or a URL could speak to the API from within.
    std::vector<OwnListener> own_listeners;
  };
  explicit AddressPolicy(Options options);

  // What can be checked from the URL alone: scheme, port, a literal address, names that never leave (localhost
  // and its like).
  std::optional<Denial> why_denied(const EndpointUrl& url) const;
  // One address that `host` resolved to, or that a socket is about to be used with.
  std::optional<Denial> why_denied(std::string_view host, std::uint16_t port, const IpAddress& address) const;
  // A connection to this port of this machine.
  std::optional<Denial> why_own_port_denied(std::uint16_t port) const;

 private:
  struct Settings;  // of [policy]; what is missing there

  std::optional<Denial> first_denial(const EndpointUrl& url) const;
  bool takes_port(std::uint16_t port) const;
  void add_missing(const IpAddress& address, Settings& settings) const;
  std::string remedy_for(const EndpointUrl& url) const;

  Options options_;
};

}  // namespace outboxd
