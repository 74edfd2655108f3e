// What the text fields of an event may hold, whether it comes by HTTP or through the SQL outbox. Pure.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/time.h"

namespace outboxd {

inline constexpr Millis kMaxEventDelay = std::chrono::hours(24 * 365);  // delay and ttl
inline constexpr std::size_t kMaxContentTypeLength = 255;

// Is it well-formed UTF-8 without control characters (C0, DEL, C1)?
bool is_printable(std::string_view text);

// May this be an ordering key or an idempotency key: 1 to kMaxKeyLength printable bytes?
bool is_key(std::string_view text);

// Is it a media type with optional parameters, as in RFC 9110 8.3.1 ("application/xml; charset=utf-8"), of bounded
// length?
bool is_media_type(std::string_view text);

}  // namespace outboxd
