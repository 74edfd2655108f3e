// Points in time and durations, and the one text form of each: RFC 3339 in UTC with milliseconds, and "1h30m".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace outboxd {

using Millis = std::chrono::milliseconds;
using Time = std::chrono::sys_time<Millis>;  // wall clock, UTC
using MonotonicTime = std::chrono::steady_clock::time_point;

inline std::int64_t unix_millis(Time t) {
  return t.time_since_epoch().count();
}
inline Time from_unix_millis(std::int64_t ms) {
  return Time(Millis(ms));
}

// "2026-11-23T15:21:00.123Z"
std::string format_time(Time t);
// RFC 3339 with any offset and up to nanoseconds (cut to milliseconds); years 1970 to 9999. Anything else:
// nullopt.
std::optional<Time> parse_time(std::string_view text);

// "90s", "5m", "2h30m", "7d", "250ms": units d h m s ms, each at most once, largest first, no sign and no
// spaces; at most 3650 days. "0s" is zero. Anything else: nullopt.
std::optional<Millis> parse_duration(std::string_view text);
// The shortest such form: 90s -> "1m30s", 0 -> "0s".
std::string format_duration(Millis d);

}  // namespace outboxd
