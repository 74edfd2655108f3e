// Text for a POSIX shell. Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/json.h"

namespace outboxd::ctl {

// As one word, which the shell takes exactly so.
std::string shell_quoted(std::string_view text);

// What a header's value is when it is not shown.
inline constexpr std::string_view kNotShown = "<shown by delivery curl --reveal>";

// A curl command that sends this request (GET /v1/deliveries/{id}/request), byte for byte. Bytes that a terminal would
// act upon, or a shell could not carry, go through base64.
std::string curl_command(const Json& request);

}  // namespace outboxd::ctl
