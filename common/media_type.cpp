#include "common/media_type.h"

#include <algorithm>

#include "common/text.h"

namespace outboxd {
namespace {

// Takes the longest token from the front of `text`; empty when there is none.
std::string_view take_token(std::string_view& text) {
  const auto length =
      static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_token_char) - text.begin());
  const std::string_view token = text.substr(0, length);
  text.remove_prefix(length);
  return token;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

void take_spaces(std::string_view& text) {
  while (take(text, ' ') || take(text, '\t')) {
  }
}

bool take_quoted(std::string_view& text) {
  if (!take(text, '"')) return false;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '"') return true;
    if (c == '\\') {
      if (text.empty()) return false;
      text.remove_prefix(1);
    }
  }
  return false;
}

}  // namespace

bool is_media_type(std::string_view text) {
  if (text.size() > kMaxContentTypeLength) return false;
  if (!std::all_of(text.begin(), text.end(), [](char c) { return (c >= 0x20 && c < 0x7F) || c == '\t'; }))
    return false;
  if (take_token(text).empty() || !take(text, '/') || take_token(text).empty()) return false;
  for (;;) {
    take_spaces(text);
    if (text.empty()) return true;
    if (!take(text, ';')) return false;
    take_spaces(text);
    if (take_token(text).empty() || !take(text, '=')) return false;
    if (!take_quoted(text) && take_token(text).empty()) return false;
  }
}

bool declares_json(std::string_view content_type) {
  const std::string essence = ascii_lower(content_type.substr(0, content_type.find_first_of("; \t")));
  return essence.ends_with("/json") || essence.ends_with("+json");
}

}  // namespace outboxd
