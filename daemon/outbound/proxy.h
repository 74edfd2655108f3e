// An operator's egress proxy, from [delivery] proxy. The environment's is never used.
#pragma once

#include <cstdint>
#include <string>

namespace outboxd {

struct Proxy {
  std::string url;          // without credentials: "http://proxy.example:3128"; empty: no proxy
  bool https = false;       // the connection to the proxy itself is TLS
  std::string credentials;  // "user:password", percent-decoded
  std::string host;         // an IPv6 address without its brackets
  std::uint16_t port = 0;
  static Proxy parse(const std::string& text);  // throws std::invalid_argument

  // The value of Proxy-Authorization (RFC 7617); "" without credentials.
  std::string authorization() const;
};

// Why the final status of a CONNECT means that there is no tunnel; empty for a 2xx. Outcome::kConnect. After a 2xx the
// tunnel begins with the first byte behind the blank line (RFC 9110 9.3.6: such a response has no body), and the
// target speaks second in TLS: bytes that came with the head are a reason to hang up.
std::string why_no_tunnel(int status);

}  // namespace outboxd
