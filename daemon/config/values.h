// The textual forms of configuration values that no other part of outboxd uses. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace outboxd::config {

// "256MiB", "64KiB", "10B": a whole number and one of B KiB MiB GiB TiB. Anything else: nullopt.
std::optional<std::int64_t> parse_size(std::string_view text);
std::string format_size(std::int64_t bytes);  // the largest unit that divides it

bool is_network(std::string_view cidr);         // "10.0.0.0/8", "fc00::/7" or one address; host bits zero
bool is_host_pattern(std::string_view text);    // "hooks.corp", "*.corp", lower case
bool is_host(std::string_view text);            // a name or an address, for Host values
bool is_socket_address(std::string_view text);  // "127.0.0.1:8877", "[::1]:0"
bool is_loopback(std::string_view socket_address);
bool is_proxy_url(std::string_view text);  // http:// or https://, host, optional port; no user info, no path
bool is_printable_ascii(std::string_view text);

}  // namespace outboxd::config
