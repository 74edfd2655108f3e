// The strict parser for endpoint URLs. Other parsers accept far more than RFC 3986 (127.1, 0x7f.1, full-width digits,
// `good\@127.0.0.1`), so only URLs that every parser reads the same way pass here, and nothing else is stored or sent.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/problem.h"

namespace outboxd {

// What anyone but the operator is told when the address policy denies a URL or an address that its host resolves to.
inline constexpr std::string_view kUrlNotAllowed = "the address policy does not allow this URL";

struct EndpointUrl {
  bool https = true;
  std::string host;              // lower case; an IPv6 address without its brackets
  bool host_is_address = false;  // a dotted quad or an IPv6 address, syntactically valid
  std::uint16_t port = 443;      // the default one when absent
  std::string target;            // path and query, at least "/"; never a fragment
  std::string text;              // normalised: scheme and host in lower case, default port dropped

  std::string host_port() const;  // for the Host header and CONNECT: "example.com:8443", "[::1]:80"
};

// Refuses: other schemes, user info, backslashes, percent signs or non-ASCII in the host, zone ids, a last
// label that looks numeric unless the host is a dotted quad, anything but exactly "//", port 0 or beyond
// 65535, controls, spaces, fragments, labels over 63 or hosts over 253 characters, URLs over kMaxUrlLength.
// The message says which.
Result<EndpointUrl> parse_endpoint_url(std::string_view text);

}  // namespace outboxd
