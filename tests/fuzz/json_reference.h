// nlohmann's parser as the second opinion on JSON, and where it is known to differ (common/json_span.h says why): it takes a NUL for the
// end, skips a byte order mark, refuses numbers beyond a double and lone surrogates, and has no limit on depth.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "common/json_span.h"

namespace outboxd::fuzz {

inline int depth_of(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (in_string && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      in_string = !in_string;
    } else if (!in_string && (text[i] == '[' || text[i] == '{')) {
      deepest = std::max(deepest, ++depth);
    } else if (!in_string && (text[i] == ']' || text[i] == '}')) {
      --depth;
    }
  }
  return deepest;
}

// Is this one JSON text by both, or by neither? True too where they are known to differ.
inline bool agrees_with_nlohmann(std::string_view text, bool accepted) {
  const bool reference = nlohmann::json::accept(text);
  if (reference == accepted) return true;
  if (accepted) {
    const bool long_number = std::ranges::count_if(text, [](char c) { return c >= '0' && c <= '9'; }) > 300;
    return long_number || text.find_first_of("eE") != std::string_view::npos ||
           text.find("\\u") != std::string_view::npos;
  }
  return text.find('\0') != std::string_view::npos || text.starts_with("\xEF\xBB\xBF") ||
         depth_of(text) > kMaxJsonDepth;
}

}  // namespace outboxd::fuzz
