#include "common/cookie.h"

#include <algorithm>

#include "common/text.h"

namespace outboxd {
namespace {

// Visible ASCII but for what delimits cookies or escapes in them.
bool is_cookie_octet(char c) {
  constexpr std::string_view kExcluded = "\",;\\";
  return c > 0x20 && c < 0x7F && kExcluded.find(c) == std::string_view::npos;
}

std::string_view without_quotes(std::string_view value) {
  const bool quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  return quoted ? value.substr(1, value.size() - 2) : value;
}

// The value of the first cookie of this name; `header` is what is left behind it.
std::optional<std::string_view> take_value(std::string_view& header, std::string_view name) {
  while (!header.empty()) {
    const auto end = std::min(header.find(';'), header.size());
    const auto pair = trim(header.substr(0, end), kHttpBlanks);
    header.remove_prefix(std::min(end + 1, header.size()));
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
    const auto value = without_quotes(pair.substr(equals + 1));
    if (is_cookie_value(value)) return value;
  }
  return std::nullopt;
}

}  // namespace

bool is_cookie_value(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_cookie_octet);
}

std::optional<std::string_view> cookie_value(std::string_view header, std::string_view name) {
  return take_value(header, name);
}

bool has_two_values(std::string_view header, std::string_view name) {
  const auto first = take_value(header, name);
  while (const auto next = take_value(header, name)) {
    if (next != first) return true;
  }
  return false;
}

}  // namespace outboxd
