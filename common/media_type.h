// Media types, as in Content-Type. Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace outboxd {

inline constexpr std::size_t kMaxContentTypeLength = 255;

// Is it a media type with optional parameters, as in RFC 9110 8.3.1 ("application/xml; charset=utf-8"), of bounded
// length?
bool is_media_type(std::string_view text);

// JSON format, 3.1.1: `*/json` or `*/*+json`, whatever the parameters.
bool declares_json(std::string_view content_type);

}  // namespace outboxd
