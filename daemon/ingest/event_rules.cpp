#include "ingest/event_rules.h"

#include <algorithm>

#include "common/event.h"
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

bool is_printable(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_sequence_length(text.substr(0, 4));
    if (length == 0) return false;
    const auto lead = static_cast<unsigned char>(text[0]);
    if (lead < 0x20 || lead == 0x7F) return false;
    if (lead == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool is_key(std::string_view text) {
  return !text.empty() && text.size() <= kMaxKeyLength && is_printable(text);
}

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

}  // namespace outboxd
