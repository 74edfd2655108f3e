#include "config/values.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace outboxd::config {
namespace {

constexpr std::array<std::pair<std::string_view, int>, 5> kUnits = {
    {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}}};

template <class T>
std::optional<T> whole_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Address {
  std::array<unsigned char, 16> bytes{};
  int bits = 0;  // 32 or 128
};

std::optional<Address> parse_address(std::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  Address address;
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) {
    address.bits = 32;
  } else if (inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) {
    address.bits = 128;
  } else {
    return std::nullopt;
  }
  return address;
}

struct SocketAddress {
  Address address;
  std::uint16_t port;
};

std::optional<SocketAddress> parse_socket_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = parse_address(host);
  const auto port = whole_number<std::uint16_t>(text.substr(colon + 1));
  if (!address || !port || bracketed != (address->bits == 128)) return std::nullopt;
  return SocketAddress{*address, *port};
}

bool is_name(std::string_view text) {
  constexpr std::size_t kMaxName = 253, kMaxLabel = 63;
  if (text.empty() || text.size() > kMaxName) return false;
  std::size_t label = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || text[i] == '.') {
      if (label == 0 || label > kMaxLabel) return false;
      label = 0;
      continue;
    }
    const char c = text[i];
    const bool inside = c == '-' && label > 0 && i + 1 < text.size() && text[i + 1] != '.';
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && !inside) return false;
    ++label;
  }
  return true;
}

}  // namespace

std::optional<std::int64_t> parse_size(std::string_view text) {
  for (const auto& [unit, shift] : kUnits) {
    if (!text.ends_with(unit)) continue;
    const auto number = whole_number<std::int64_t>(text.substr(0, text.size() - unit.size()));
    if (!number || *number < 0 || *number > (std::numeric_limits<std::int64_t>::max() >> shift))
      return std::nullopt;
    return *number << shift;
  }
  return std::nullopt;
}

std::string format_size(std::int64_t bytes) {
  for (const auto& [unit, shift] : kUnits) {
    const auto one = std::int64_t{1} << shift;
    if (bytes >= one && bytes % one == 0) return std::to_string(bytes >> shift) + std::string(unit);
  }
  return std::to_string(bytes) + "B";
}

bool is_network(std::string_view cidr) {
  const auto slash = cidr.find('/');
  const auto address = parse_address(cidr.substr(0, slash));
  if (!address) return false;
  if (slash == std::string_view::npos) return true;
  const auto prefix = whole_number<std::uint8_t>(cidr.substr(slash + 1));
  if (!prefix || *prefix > address->bits) return false;
  for (int bit = *prefix; bit < address->bits; ++bit) {
    if ((address->bytes[bit / 8] & (0x80 >> (bit % 8))) != 0) return false;
  }
  return true;
}

bool is_host_pattern(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  return is_name(text);
}

bool is_host(std::string_view text) {
  return is_name(text) || parse_address(text).has_value();
}

bool is_socket_address(std::string_view text) {
  return parse_socket_address(text).has_value();
}

bool is_loopback(std::string_view socket_address) {
  const auto parsed = parse_socket_address(socket_address);
  if (!parsed) return false;
  const auto& bytes = parsed->address.bytes;
  if (parsed->address.bits == 32) return bytes[0] == 127;
  return std::all_of(bytes.begin(), bytes.end() - 1, [](auto byte) { return byte == 0; }) &&
         bytes.back() == 1;
}

bool is_proxy_url(std::string_view text) {
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return false;
  const auto scheme = text.substr(0, scheme_end);
  const auto rest = text.substr(scheme_end + 3);
  if (scheme != "http" && scheme != "https") return false;
  if (is_socket_address(rest) || is_name(rest)) return true;
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos) return false;
  return is_name(rest.substr(0, colon)) &&
         whole_number<std::uint16_t>(rest.substr(colon + 1)).value_or(0) != 0;
}

bool is_printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace outboxd::config
