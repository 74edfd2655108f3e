#include "outbound/address_policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "common/text.h"

namespace outboxd {
namespace {

constexpr std::string_view kDenyNetworks = "[policy] deny_networks";
constexpr std::string_view kOwnListener = "outboxd itself listens there";

struct Special {
  std::string_view network;
  std::string_view what;
};

// The IANA special-purpose registries: every range that is not globally reachable, and ranges within reachable space
// that serve only the machine's own surroundings. The first range that contains the address gives the reason.
constexpr Special kSpecial[] = {
    // IPv4 (https://www.iana.org/assignments/iana-ipv4-special-registry)
    {"0.0.0.0/8", "this network"},                     // RFC 791, RFC 1122 3.2.1.3
    {"10.0.0.0/8", "private use"},                     // RFC 1918
    {"100.64.0.0/10", "carrier-grade NAT"},            // RFC 6598; Alibaba's metadata at 100.100.100.200
    {"127.0.0.0/8", "loopback"},                       // RFC 1122 3.2.1.3
    {"169.254.0.0/16", "link local, cloud metadata"},  // RFC 3927; metadata at 169.254.169.254
    {"172.16.0.0/12", "private use"},                  // RFC 1918
    {"192.0.0.0/24", "IETF protocol assignments"},     // RFC 6890; Oracle's metadata at 192.0.0.192
    {"192.0.2.0/24", "documentation"},                 // RFC 5737
    {"192.88.99.0/24", "6to4 relay anycast"},          // RFC 7526
    {"192.168.0.0/16", "private use"},                 // RFC 1918
    {"198.18.0.0/15", "benchmarking"},                 // RFC 2544
    {"198.51.100.0/24", "documentation"},              // RFC 5737
    {"203.0.113.0/24", "documentation"},               // RFC 5737
    {"224.0.0.0/4", "multicast"},                      // RFC 1112, RFC 5771
    {"240.0.0.0/4", "reserved or broadcast"},          // RFC 1112 4, RFC 919 7
    {"168.63.129.16/32", "cloud platform services"},  // Azure's wire server: public space, but the host's own
    // IPv6 (https://www.iana.org/assignments/iana-ipv6-special-registry)
    {"::/128", "unspecified"},                   // RFC 4291 2.5.2
    {"::1/128", "loopback"},                     // RFC 4291 2.5.3
    {"::/96", "IPv4-compatible"},                // RFC 4291 2.5.5.1, deprecated
    {"::ffff:0:0/96", "IPv4-mapped"},            // RFC 4291 2.5.5.2
    {"::ffff:0:0:0/96", "IPv4-translated"},      // RFC 2765 2.1
    {"64:ff9b::/96", "NAT64"},                   // RFC 6052: reaches whatever the translator reaches
    {"64:ff9b:1::/48", "local-use NAT64"},       // RFC 8215
    {"100::/64", "discard only"},                // RFC 6666
    {"100:0:0:1::/64", "dummy prefix"},          // RFC 9780
    {"2001::/32", "Teredo"},                     // RFC 4380
    {"2001:db8::/32", "documentation"},          // RFC 3849
    {"2001::/23", "IETF protocol assignments"},  // RFC 2928
    {"2002::/16", "6to4"},                       // RFC 3056
    {"3fff::/20", "documentation"},              // RFC 9637
    {"5f00::/16", "segment routing"},            // RFC 9602
    {"fc00::/7", "unique local"},                // RFC 4193; Amazon's metadata at fd00:ec2::254
    {"fe80::/10", "link local"},                 // RFC 4291 2.5.6
    {"fec0::/10", "site local"},                 // RFC 3879
    {"ff00::/8", "multicast"},                   // RFC 4291 2.7
    // Global unicast is 2000::/3 alone (RFC 4291 2.4, IANA's IPv6 address space): the rest is reserved.
    {"::/3", "not global unicast"},
    {"4000::/2", "not global unicast"},
    {"8000::/1", "not global unicast"},
};

// IPv6 forms that embed an IPv4 address, and the byte where it begins. Traffic ends up at that IPv4 address, so it is
// checked too, even if the operator has allowed the form itself.
struct Carrier {
  std::string_view network;
  std::size_t offset;
  std::uint8_t mask = 0;  // the embedded bytes are XORed with this
};
constexpr Carrier kCarriers[] = {
    {"::/96", 12},            // IPv4-compatible
    {"::ffff:0:0/96", 12},    // IPv4-mapped
    {"::ffff:0:0:0/96", 12},  // IPv4-translated
    {"64:ff9b::/96", 12},     // NAT64, RFC 6052 2.2
    {"64:ff9b:1::/48", 12},  // NAT64 with the /96 layout, the only one of RFC 6052 that fits any prefix in it
    {"2002::/16", 2},        // 6to4
    {"2001::/32", 4},        // Teredo: its server,
    {"2001::/32", 12, 0xFF},  // and its client, RFC 4380 4
};

// ISATAP marks the interface id, under any prefix: 00-00-5E-FE or 02-00-5E-FE, followed by the IPv4 address (RFC 5214
// 6.1).
bool is_isatap(const IpAddress& a) {
  return (a.bytes[8] & ~0x03) == 0 && a.bytes[9] == 0 && a.bytes[10] == 0x5E && a.bytes[11] == 0xFE;
}

IpAddress embedded_ipv4(const IpAddress& address, std::size_t offset, std::uint8_t mask) {
  IpAddress v4;
  for (std::size_t i = 0; i < 4; ++i) v4.bytes[i] = address.bytes[offset + i] ^ mask;
  return v4;
}

template <class Row>
struct Parsed {
  Network network;
  const Row* row;
};

template <class Row, std::size_t N>
std::vector<Parsed<Row>> parse_rows(const Row (&rows)[N]) {
  std::vector<Parsed<Row>> parsed;
  for (const Row& row : rows) parsed.push_back({Network::parse(row.network).value(), &row});
  return parsed;
}

const Special* find_special(const IpAddress& address) {
  static const auto rows = parse_rows(kSpecial);
  for (const auto& row : rows) {
    if (row.network.contains(address)) return row.row;
  }
  return nullptr;
}

// Within ::/96 but not IPv4-compatible addresses: "::" and "::1" (RFC 4291 2.5.5.1).
constexpr std::array<IpAddress, 2> kPlainIpv6 = {IpAddress{.v6 = true, .bytes = {}}, kLoopback[0]};

// The address itself, followed by the IPv4 addresses it embeds.
struct Forms {
  std::array<IpAddress, 4> address;
  std::size_t count = 0;
};

Forms forms_of(const IpAddress& address) {
  static const auto carriers = parse_rows(kCarriers);
  Forms forms;
  forms.address[forms.count++] = address;
  const bool plain = std::find(kPlainIpv6.begin(), kPlainIpv6.end(), address) != kPlainIpv6.end();
  if (!address.v6 || plain) return forms;
  for (const auto& [network, row] : carriers) {
    if (network.contains(address))
      forms.address[forms.count++] = embedded_ipv4(address, row->offset, row->mask);
  }
  if (is_isatap(address)) forms.address[forms.count++] = embedded_ipv4(address, 12, 0);
  return forms;
}

bool any_contains(const std::vector<Network>& networks, const IpAddress& address) {
  return std::any_of(networks.begin(), networks.end(), [&](const Network& n) { return n.contains(address); });
}

bool host_matches(std::string_view pattern, std::string_view host) {
  if (!pattern.starts_with("*.")) return pattern == host;
  return host.size() > pattern.size() - 1 && host.ends_with(pattern.substr(1));
}

bool any_matches(const std::vector<std::string>& patterns, std::string_view host) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const auto& p) { return host_matches(p, host); });
}

Denial denial(const IpAddress& address, const IpAddress& form, std::string_view why) {
  std::string text = "address " + address.to_string() + " is not allowed: ";
  if (!(form == address)) text += "it carries " + form.to_string() + ", ";
  return {why, text.append(why)};
}

}  // namespace

bool is_localhost(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost");
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  std::memcpy(terminated.data(), text.data(), text.size());
  IpAddress address;
  address.v6 = text.find(':') != std::string_view::npos;
  if (inet_pton(address.v6 ? AF_INET6 : AF_INET, terminated.data(), address.bytes.data()) != 1)
    return std::nullopt;
  return address;
}

std::optional<IpAddress> IpAddress::from_sockaddr(const sockaddr* address) {
  IpAddress ip;
  if (address->sa_family == AF_INET) {
    std::memcpy(ip.bytes.data(), &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, 4);
    return ip;
  }
  if (address->sa_family == AF_INET6) {
    ip.v6 = true;
    std::memcpy(ip.bytes.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, 16);
    return ip;
  }
  return std::nullopt;
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), text.data(), text.size());
  return text.data();
}

std::optional<Network> Network::parse(std::string_view cidr) {
  const std::size_t slash = cidr.find('/');
  const auto base = IpAddress::parse(cidr.substr(0, slash));
  if (!base) return std::nullopt;
  const int longest = base->v6 ? 128 : 32;
  Network network{*base, longest};
  if (slash != std::string_view::npos) {
    const std::string_view digits = cidr.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), network.prefix);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    if (network.prefix < 0 || network.prefix > longest) return std::nullopt;
  }
  for (int bit = network.prefix; bit < longest; ++bit) {
    if (base->bytes[static_cast<std::size_t>(bit / 8)] & (0x80 >> (bit % 8))) return std::nullopt;
  }
  return network;
}

bool Network::contains(const IpAddress& address) const {
  if (address.v6 != base.v6) return false;
  const auto whole = static_cast<std::size_t>(prefix / 8);
  if (std::memcmp(address.bytes.data(), base.bytes.data(), whole) != 0) return false;
  const int rest = prefix % 8;
  return rest == 0 || ((address.bytes[whole] ^ base.bytes[whole]) >> (8 - rest)) == 0;
}

std::string Denial::for_operators() const {
  return text + "; " + (remedy.empty() ? "no setting allows it" : remedy);
}

// Collects settings as the configuration would have them, existing entries included, ready to be copied.
struct AddressPolicy::Settings {
  std::vector<std::string> texts = {};

  template <class Present, class Missing>
  void extend(std::string_view name, const Present& present, const Missing& missing) {
    std::string text = std::string(name) + " = [";
    const char* separator = "";
    const auto add = [&](const std::string& entry) { text += std::exchange(separator, ", ") + entry; };
    if (present.size() > kMaxListed) {
      add("...");
    } else {
      for (const auto& entry : present) add(entry);
    }
    for (const auto& entry : missing) add(entry);
    texts.push_back(text + ']');
  }
  std::string text() const {
    std::string all;
    for (const auto& one : texts) all += (all.empty() ? "set [policy] " : ", ") + one;
    return all;
  }

 private:
  static constexpr std::size_t kMaxListed = 16;
};

AddressPolicy::AddressPolicy(Options options) : options_(std::move(options)) {
  for (std::string& host : options_.allow_hosts) host = ascii_lower(host);
}

bool AddressPolicy::takes_port(std::uint16_t port) const {
  const auto& ports = options_.ports;
  return ports.empty() || std::find(ports.begin(), ports.end(), port) != ports.end();
}

std::optional<Denial> AddressPolicy::why_denied(const EndpointUrl& url) const {
  auto denial = first_denial(url);
  if (denial) denial->remedy = remedy_for(url);
  return denial;
}

// Adds the networks that must be allowed for this address and the addresses it embeds.
void AddressPolicy::add_missing(const IpAddress& address, Settings& settings) const {
  const Forms forms = forms_of(address);
  std::vector<std::string> present, missing;
  for (const Network& network : options_.allow_networks)
    present.push_back('"' + network.base.to_string() + '/' + std::to_string(network.prefix) + '"');
  for (std::size_t i = 0; i < forms.count; ++i) {
    if (any_contains(options_.allow_networks, forms.address[i])) continue;
    if (const Special* special = find_special(forms.address[i]))
      missing.push_back('"' + std::string(special->network) + '"');
  }
  if (!missing.empty()) settings.extend("allow_networks", present, missing);
}

// Lists everything that denies the URL, although one reason is enough, so that the operator has to change the settings
// only once.
std::string AddressPolicy::remedy_for(const EndpointUrl& url) const {
  Settings settings;
  if (!url.https && !options_.allow_http) settings.texts.emplace_back("allow_http = true");
  if (!takes_port(url.port)) {
    std::vector<std::string> present;
    for (const std::uint16_t port : options_.ports) present.push_back(std::to_string(port));
    settings.extend("ports", present, std::array{std::to_string(url.port)});
  }
  const auto literal = url.host_is_address ? IpAddress::parse(url.host) : std::nullopt;
  if (!literal && !is_localhost(url.host)) return settings.text();
  const IpAddress address = literal.value_or(kLoopback[1]);
  const auto why = why_denied(url.host, url.port, address);
  if (why && (why->reason == kDenyNetworks || why->reason == kOwnListener)) return why->remedy;
  if (why) add_missing(address, settings);
  return settings.text();
}

std::optional<Denial> AddressPolicy::first_denial(const EndpointUrl& url) const {
  if (!url.https && !options_.allow_http) return Denial{"scheme", "http is not allowed, only https"};
  if (!takes_port(url.port)) {
    return Denial{"port", "port " + std::to_string(url.port) + " is not allowed"};
  }
  if (url.host_is_address) {
    const auto address = IpAddress::parse(url.host);
    return address ? why_denied(url.host, url.port, *address)
                   : Denial{"not an address", "the host is not an address"};
  }
  if (is_localhost(url.host)) {
    const bool usable = std::any_of(kLoopback.begin(), kLoopback.end(), [&](const IpAddress& address) {
      return !why_denied(url.host, url.port, address);
    });
    if (!usable) return Denial{"loopback", "the name " + url.host + " is not allowed: loopback"};
  }
  return std::nullopt;
}

std::optional<Denial> AddressPolicy::why_denied(std::string_view host, std::uint16_t port,
                                                const IpAddress& address) const {
  const Forms forms = forms_of(address);
  for (std::size_t i = 0; i < forms.count; ++i) {
    const IpAddress& form = forms.address[i];
    if (any_contains(options_.deny_networks, form)) {
      auto denied = denial(address, form, kDenyNetworks);
      denied.remedy = "take the network of it out of [policy] deny_networks";
      return denied;
    }
    const bool own = std::any_of(options_.own_listeners.begin(), options_.own_listeners.end(),
                                 [&](const OwnListener& listener) {
                                   return listener.port == port && listener.network.contains(form);
                                 });
    if (own) return denial(address, form, kOwnListener);
  }
  if (!options_.allow_hosts.empty() && any_matches(options_.allow_hosts, host)) return std::nullopt;
  for (std::size_t i = 0; i < forms.count; ++i) {
    if (any_contains(options_.allow_networks, forms.address[i])) continue;
    if (const Special* special = find_special(forms.address[i])) {
      auto denied = denial(address, forms.address[i], special->what);
      Settings settings;
      add_missing(address, settings);
      denied.remedy = settings.text();
      if (!IpAddress::parse(host) && !is_localhost(host))
        denied.remedy += " (or have \"" + std::string(host) + "\" in allow_hosts)";
      return denied;
    }
  }
  return std::nullopt;
}

std::optional<Denial> AddressPolicy::why_own_port_denied(std::uint16_t port) const {
  const bool own = std::any_of(
      options_.own_listeners.begin(), options_.own_listeners.end(),
      [port](const OwnListener& listener) { return listener.everywhere && listener.port == port; });
  if (!own) return std::nullopt;
  return Denial{kOwnListener, "port " + std::to_string(port) +
                                  " of this machine is not allowed: " + std::string(kOwnListener)};
}

}  // namespace outboxd
