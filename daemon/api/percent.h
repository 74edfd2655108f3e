// Percent-escapes in a request's target (RFC 3986, 2.1). Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace outboxd::api {

// The byte that the escape at text[at] == '%' stands for, or -1 when two hex digits do not follow.
int escaped_byte(std::string_view text, std::size_t at);

// nullopt when an escape is broken.
std::optional<std::string> percent_decode(std::string_view text);

}  // namespace outboxd::api
