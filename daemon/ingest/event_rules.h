// What the text fields of an event may hold, whether it comes by HTTP or through the SQL outbox. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/time.h"

namespace outboxd {

inline constexpr Millis kMaxEventDelay = std::chrono::hours(24 * 365);  // delay and ttl

// What is said of text that breaks a rule.
inline constexpr std::string_view kEventTypeRule =
    "must be 1 to 128 of A-Z a-z 0-9 _ . -, in segments separated by single dots";
inline constexpr std::string_view kKeyRule = "must be 1 to 256 bytes of UTF-8 without control characters";
inline constexpr std::string_view kMediaTypeRule =
    "must be a media type such as \"application/xml\", at most 255 bytes";

// Why a producer's event may not have this tenant; "" if it may.
std::string_view why_tenant_refused(std::string_view tenant);

// Is it well-formed UTF-8 without control characters (C0, DEL, C1)?
bool is_printable(std::string_view text);

// May this be an ordering key or an idempotency key: 1 to kMaxKeyLength printable bytes?
bool is_key(std::string_view text);

// Why an event of this type is not accepted where only those that match these patterns are ([ingest] event_types), with
// the nearest of them; absent: it is. outboxd's own types always are.
std::optional<std::string> why_type_refused(std::string_view type, std::span<const std::string> patterns);

}  // namespace outboxd
