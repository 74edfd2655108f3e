// Structured logs. One message, then fields: log::warn("attempt failed", {{"delivery", id}, {"status",
// 503}}). Rendered as logfmt, JSON or native journald fields; spdlog does the levels and the sinks. Thread
// safe. Never pass a secret.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace outboxd::log {

enum class Level { kDebug, kInfo, kWarn, kError };
enum class Format {
  kAuto,
  kJson,
  kLogfmt,
  kJournald
};  // kAuto: journald when stderr is the journal's stream, else logfmt

struct Field {
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, bool v) : key(k), value(v ? "true" : "false"), bare(true) {}
  template <class T>
  requires(std::integral<T> && !std::same_as<T, bool>) || std::floating_point<T> Field(std::string_view k,
                                                                                       T v)
      : key(k),
  value(std::to_string(v)), bare(true) {}
  std::string_view key;
  std::string value;
  bool bare = false;  // a number or a boolean: unquoted in JSON
};
using Fields = std::initializer_list<Field>;

void configure(Level level, Format format);  // once at start, and again on reload
bool enabled(Level level);
void write(Level level, std::string_view message, Fields fields);
inline void debug(std::string_view message, Fields fields = {}) {
  if (enabled(Level::kDebug)) write(Level::kDebug, message, fields);
}
inline void info(std::string_view message, Fields fields = {}) {
  write(Level::kInfo, message, fields);
}
inline void warn(std::string_view message, Fields fields = {}) {
  write(Level::kWarn, message, fields);
}
inline void error(std::string_view message, Fields fields = {}) {
  write(Level::kError, message, fields);
}

// Render one line (without the newline); pure, for the tests and the sinks. `time` is RFC 3339.
std::string render_logfmt(std::string_view time, Level level, std::string_view message, Fields fields);
std::string render_json(std::string_view time, Level level, std::string_view message, Fields fields);

}  // namespace outboxd::log
