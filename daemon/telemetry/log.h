// Structured logs. One message, then fields: log::warn("attempt failed", {{"delivery", id}, {"status",
// 503}}). Rendered as logfmt, JSON or native journald fields; spdlog does the queue and its thread.
// Thread safe. Never pass a secret.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/time.h"

namespace outboxd::log {

enum class Level { kDebug, kInfo, kWarn, kError };
enum class Format {
  kAuto,
  kJson,
  kLogfmt,
  kJournald
};  // kAuto: journald when stderr is the journal's stream, else logfmt

inline constexpr std::size_t kMaxFieldBytes = 4096;  // the rest of a value is cut off: lines wait in memory
struct Field {
  Field(std::string_view k, std::string_view v) : key(k), value(v.substr(0, kMaxFieldBytes)) {}
  Field(std::string_view k, const char* v) : Field(k, std::string_view(v)) {}
  Field(std::string_view k, const std::string& v) : Field(k, std::string_view(v)) {}
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

// While it lives, a thread of its own writes the log, so nobody who logs waits for whoever reads it: if more than 2,048
// lines wait, the oldest are dropped and counted, and the log says so once there is room. Without it, whoever logs
// writes the line. One at a time, by the main thread; throws std::exception when no thread can be made. Its destructor
// writes what still waits, for a second at most.
class Background {
 public:
  Background();
  ~Background();
  Background(const Background&) = delete;
};
std::uint64_t dropped();  // lines lost since the start

// The last line of a process that ends at once: on stderr before this returns, or dropped if writing would have to
// wait.
void last_words(std::string_view message, Fields fields);
// The same for plain bytes; safe in a signal handler. Bytes beyond PIPE_BUF are cut off.
void write_if_room(std::string_view bytes);

// For log lines that somebody outside can cause at will: limits how many are written per second. For one thread.
class Budget {
 public:
  // Whether a line may be written now, and if so how many were left out since the last one.
  std::optional<std::size_t> take(MonotonicTime now) {
    if (now - since_ >= std::chrono::seconds(1)) {
      since_ = now;
      used_ = 0;
    }
    if (++used_ <= kLinesPerSecond) return std::exchange(left_out_, 0);
    ++left_out_;
    return std::nullopt;
  }

 private:
  static constexpr std::size_t kLinesPerSecond = 20;
  MonotonicTime since_{};
  std::size_t used_ = 0, left_out_ = 0;
};

// Render one line (without the newline); pure, for the tests and the sinks. `time` is RFC 3339.
std::string render_logfmt(std::string_view time, Level level, std::string_view message, Fields fields);
std::string render_json(std::string_view time, Level level, std::string_view message, Fields fields);

}  // namespace outboxd::log
