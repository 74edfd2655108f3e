// An operator's egress proxy, from [delivery] proxy. libcurl never takes one from the environment.
#pragma once

#include <cstdint>
#include <string>

namespace outboxd {

struct Proxy {
  std::string url;          // without credentials; empty: no proxy
  std::string credentials;  // "user:password"
  std::string host;
  std::uint16_t port = 0;
  static Proxy parse(const std::string& text);  // throws std::invalid_argument
};

}  // namespace outboxd
