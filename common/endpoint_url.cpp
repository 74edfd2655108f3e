#include "common/endpoint_url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <optional>

#include "common/endpoint.h"
#include "common/text.h"

namespace outboxd {
namespace {

constexpr std::size_t kMaxHostLength = 253;
constexpr std::size_t kMaxLabelLength = 63;
constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kHexDigits = "0123456789abcdefABCDEF";

tl::unexpected<Problem> refused(std::string why) {
  return problem(ProblemCode::kInvalidParameter, std::move(why));
}

bool consists_of(std::string_view text, std::string_view alphabet) {
  return text.find_first_not_of(alphabet) == std::string_view::npos;
}

// Bytes that no part of a URL may hold. Some parsers strip tabs and line breaks, read `\` as `/`, or map full-width
// digits to ASCII, and an attacker looks for exactly such a URL that two parsers read differently.
std::optional<std::string> why_bytes_refused(std::string_view text) {
  for (const char c : text) {
    if (c == '\\') return "a URL has no backslashes";
    if (c == ' ') return "a URL has no spaces: write %20";
    if (static_cast<unsigned char>(c) > 0x7F) {
      return "a URL is ASCII: percent-encode the path, write the host in punycode (xn--)";
    }
    if (c < 0x20 || c == 0x7F) return "a URL has no control characters";
    if (c == '#') return "an endpoint's URL has no fragment (#...)";
  }
  return std::nullopt;
}

// Parsers that read "127.1" and "0x7f000001" as IPv4 addresses would take a host whose last label is this one for an
// address (WHATWG URL, "ends in a number").
bool looks_numeric(std::string_view label) {
  if (consists_of(label, kDigits)) return true;
  return label.starts_with("0x") && consists_of(label.substr(2), kHexDigits);
}

std::optional<std::string> why_label_refused(std::string_view label) {
  if (label.empty()) return "the host has an empty label: no leading, trailing or doubled dots";
  if (label.size() > kMaxLabelLength) return "a label of the host has over 63 characters";
  if (label.starts_with('-') || label.ends_with('-'))
    return "a label of the host begins or ends with a hyphen";
  return std::nullopt;
}

// The normalised address, or nullopt if `text` is not one. inet_pton takes only dotted quads without leading zeros.
std::optional<std::string> normal_address(int family, const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  std::array<char, INET6_ADDRSTRLEN> normal{};
  if (inet_pton(family, text.c_str(), address.data()) != 1) return std::nullopt;
  return inet_ntop(family, address.data(), normal.data(), normal.size());
}

Result<void> read_name(std::string_view text, EndpointUrl& url) {
  if (text.find('%') != std::string_view::npos) return refused("the host has no percent-encoding");
  url.host = ascii_lower(text);
  if (!consists_of(url.host, "abcdefghijklmnopqrstuvwxyz0123456789-_.")) {
    return refused("the host has letters, digits, hyphens, underscores and dots only");
  }
  if (url.host.size() > kMaxHostLength) return refused("the host has over 253 characters");
  url.host_is_address = normal_address(AF_INET, url.host).has_value();
  if (url.host_is_address) return {};

  std::string_view rest = url.host;
  for (bool last = false; !last;) {
    const std::size_t dot = rest.find('.');
    last = dot == std::string_view::npos;
    const std::string_view label = rest.substr(0, dot);
    if (auto why = why_label_refused(label)) return refused(std::move(*why));
    if (last && looks_numeric(label)) {
      return refused(
          "the host looks like a number: write an IPv4 address as four decimal numbers, 192.0.2.1");
    }
    if (!last) rest.remove_prefix(dot + 1);
  }
  return {};
}

Result<void> read_ipv6(std::string_view text, EndpointUrl& url) {
  if (text.find('%') != std::string_view::npos) return refused("the IPv6 address has no zone id (%...)");
  const auto normal = normal_address(AF_INET6, std::string(text));
  if (!normal) return refused("what is in brackets is not an IPv6 address");
  url.host = *normal;
  url.host_is_address = true;
  return {};
}

Result<void> read_port(std::string_view text, EndpointUrl& url) {
  const bool decimal = !text.empty() && text.size() <= 5 && consists_of(text, kDigits) && text.front() != '0';
  const std::int64_t port = decimal ? *parse_int(text) : 0;
  if (port < 1 || port > 65535) return refused("the port is a number from 1 to 65535");
  url.port = static_cast<std::uint16_t>(port);
  return {};
}

Result<void> read_authority(std::string_view text, EndpointUrl& url) {
  if (text.find('@') != std::string_view::npos) {
    return refused("a URL has no user or password: use the endpoint's headers for authorization");
  }
  const bool bracketed = text.starts_with('[');
  const std::size_t host_end = bracketed ? text.find(']') : std::min(text.find(':'), text.size());
  if (host_end == std::string_view::npos) return refused("the IPv6 address has no closing bracket");
  const std::string_view rest = text.substr(bracketed ? host_end + 1 : host_end);
  const std::string_view host = bracketed ? text.substr(1, host_end - 1) : text.substr(0, host_end);
  if (host.empty()) return refused("the URL has no host");
  if (auto read = bracketed ? read_ipv6(host, url) : read_name(host, url); !read) return read;
  url.port = url.https ? 443 : 80;
  if (rest.empty()) return {};
  if (!rest.starts_with(':')) return refused("after the host comes a port, a path or a query");
  return read_port(rest.substr(1), url);
}

// Path and query: RFC 3986 sections 3.3 and 3.4. Dot segments are refused because some clients remove them and others
// do not.
Result<void> read_target(std::string_view text, EndpointUrl& url) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/?";
  const std::size_t query = std::min(text.find('?'), text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    // RFC 3986 wants brackets percent-encoded, but forms and JSON:API write "?filter[type]=a", and no parser reads it
    // any other way.
    if (i > query && (text[i] == '[' || text[i] == ']')) continue;
    if (text[i] == '%') {
      const std::string_view digits = text.substr(i + 1, 2);
      if (digits.size() != 2 || !consists_of(digits, kHexDigits)) {
        return refused("a percent sign in the path or query is followed by two hex digits");
      }
    } else if (kAllowed.find(text[i]) == std::string_view::npos) {
      return refused("the path and query hold a character that must be percent-encoded");
    }
  }
  std::string path = ascii_lower(text.substr(0, text.find('?')));
  for (std::size_t at; (at = path.find("%2e")) != std::string::npos;) path.replace(at, 3, ".");
  path += '/';
  if (path.find("/./") != std::string::npos || path.find("/../") != std::string::npos) {
    return refused("the path has no segments . or ..: write the path that they lead to");
  }
  if (text.ends_with('?') && text.find('?') == text.size() - 1) text.remove_suffix(1);
  url.target = text.starts_with('/') ? "" : "/";
  url.target += text;
  return {};
}

std::string bracketed_host(const EndpointUrl& url) {
  return url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
}

}  // namespace

std::string EndpointUrl::host_port() const {
  return bracketed_host(*this) + ":" + std::to_string(port);
}

Result<EndpointUrl> parse_endpoint_url(std::string_view text) {
  if (text.size() > kMaxUrlLength) return refused("a URL has at most 2048 characters");
  if (auto why = why_bytes_refused(text)) return refused(std::move(*why));

  EndpointUrl url;
  const std::size_t colon = text.find(':');
  const std::string scheme = ascii_lower(text.substr(0, colon));
  url.https = scheme == "https";
  if (colon == std::string_view::npos || (!url.https && scheme != "http")) {
    return refused("a URL begins with https:// (or http:// where policy allows it)");
  }
  text.remove_prefix(colon + 1);
  if (!text.starts_with("//") || text.starts_with("///"))
    return refused("the scheme is followed by exactly two slashes");
  text.remove_prefix(2);

  const std::size_t target = std::min(text.find_first_of("/?"), text.size());
  if (auto read = read_authority(text.substr(0, target), url); !read) return tl::unexpected(read.error());
  if (auto read = read_target(text.substr(target), url); !read) return tl::unexpected(read.error());

  const bool default_port = url.port == (url.https ? 443 : 80);
  url.text = scheme + "://" + (default_port ? bracketed_host(url) : url.host_port()) + url.target;
  return url;
}

}  // namespace outboxd
