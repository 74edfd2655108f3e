// Reads the files that the user named, or stdin, within a bound. Failures (usage) name the option.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace outboxd::ctl {

inline constexpr std::size_t kMaxInputBytes = 16u << 20;  // the daemon's default limit of a request

// "-" is stdin.
std::string read_file(const std::string& path, std::size_t max_bytes, std::string_view option);
// JSON that was given as such, or in a file (@FILE), byte for byte but for the spaces around it.
std::string json_argument(const std::string& argument, std::string_view option);
// Reads a secret from a file and checks it; it is never quoted in a message.
std::string read_secret(const std::string& path, std::string_view option, bool public_key_too = false);

}  // namespace outboxd::ctl
