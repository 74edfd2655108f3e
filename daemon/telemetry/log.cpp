#include "telemetry/log.h"

#include <poll.h>
#include <pthread.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "common/time.h"
#include "telemetry/journal.h"
#include "telemetry/log_sink.h"

namespace outboxd::log {
namespace {

constexpr std::size_t kQueuedLines = 2048;
constexpr Millis kFlushLimit{1000};
constexpr Millis kFlushRound{2};

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      break;
  }
  return spdlog::level::err;
}

std::atomic<Format> current_format{Format::kLogfmt};

std::string render(Level level, std::string_view message, Fields fields) {
  const Format format = current_format;
  if (format == Format::kJournald) return pack_journal_entry(journal_fields(level, message, fields));
  const auto time = format_time(std::chrono::floor<Millis>(std::chrono::system_clock::now()));
  return format == Format::kJson ? render_json(time, level, message, fields)
                                 : render_logfmt(time, level, message, fields);
}

std::string notice_of_dropped(std::uint64_t lines) {
  return render(Level::kWarn, "lines of this log were dropped: nobody read it, or it could not be written",
                {{"lines", lines}});
}

// Two loggers: one writes directly, the other has a thread write. Neither is ever destroyed, because spdlog's pool
// joins its thread then, and that thread may wait for a reader for ever.
class Loggers {
 public:
  Loggers()
      : sink_(std::make_shared<LogSink>([this] { return overrun(); }, notice_of_dropped)),
        direct_(std::make_shared<spdlog::logger>("outboxd", sink_)),
        current_(direct_.get()) {
    prepare(*direct_);
  }

  void set_level(Level level) { level_ = level; }
  bool enabled(Level level) const { return level >= level_.load(); }
  void log(Level level, std::string_view line) {
    ++submitted_;
    current_.load()->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
  }
  void write_behind() {
    if (!behind_) {
      auto pool = std::make_shared<spdlog::details::thread_pool>(
          kQueuedLines, 1, [] { pthread_setname_np(pthread_self(), "log"); });
      behind_ = std::make_shared<spdlog::async_logger>("outboxd", sink_, pool,
                                                       spdlog::async_overflow_policy::overrun_oldest);
      prepare(*behind_);
      pool_ = std::move(pool);
    }
    current_ = behind_.get();
  }
  // Switches back to direct writing, if all that waited is written in time. Else the thread keeps the log, and both end
  // with the process.
  void write_directly() {
    const auto deadline = std::chrono::steady_clock::now() + kFlushLimit;
    while (sink_->handled() + overrun() < submitted_) {
      if (std::chrono::steady_clock::now() > deadline) return;
      std::this_thread::sleep_for(kFlushRound);
    }
    current_ = direct_.get();
  }
  std::uint64_t dropped() const { return sink_->dropped(); }

 private:
  static void prepare(spdlog::logger& logger) {
    logger.set_level(spdlog::level::trace);  // levels are checked before
    // By default spdlog reports its own errors on stderr, and might wait there for a reader.
    logger.set_error_handler([](const std::string&) {});
  }
  std::uint64_t overrun() const { return pool_ ? pool_->overrun_counter() : 0; }

  std::shared_ptr<spdlog::details::thread_pool> pool_;  // made once together with behind_, by the main thread
  const std::shared_ptr<LogSink> sink_;
  const std::shared_ptr<spdlog::logger> direct_;
  std::shared_ptr<spdlog::logger> behind_;
  std::atomic<spdlog::logger*> current_;
  std::atomic<Level> level_{Level::kInfo};
  std::atomic<std::uint64_t> submitted_{0};
};

Loggers& loggers() {
  static Loggers& instance = *new Loggers;
  return instance;
}

bool stderr_is_the_journal() {  // sd_journal_stream_fd(3), "JOURNAL_STREAM" in systemd.exec(5)
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) == stream;
}

}  // namespace

void configure(Level level, Format format) {
  if (format == Format::kAuto) format = stderr_is_the_journal() ? Format::kJournald : Format::kLogfmt;
  // libsystemd drops entries without an error when there is no journal.
  if (format == Format::kJournald && access("/run/systemd/journal/socket", W_OK) != 0)
    format = Format::kLogfmt;
  current_format = format;
  loggers().set_level(level);
}

bool enabled(Level level) {
  return loggers().enabled(level);
}

void write(Level level, std::string_view message, Fields fields) {
  if (enabled(level)) loggers().log(level, render(level, message, fields));
}

Background::Background() try { loggers().write_behind(); } catch (const std::system_error& error) {
  throw std::runtime_error(std::string("the thread \"log\" cannot be made: ") + error.what());
}

Background::~Background() {
  loggers().write_directly();
}

std::uint64_t dropped() {
  return loggers().dropped();
}

void last_words(std::string_view message, Fields fields) {
  const auto time = format_time(std::chrono::floor<Millis>(std::chrono::system_clock::now()));
  std::string line = current_format == Format::kJson ? render_json(time, Level::kError, message, fields)
                                                     : render_logfmt(time, Level::kError, message, fields);
  if (stderr_is_the_journal()) line.insert(0, "<3>");  // its priority, SyslogLevelPrefix= in systemd.exec(5)
  write_if_room(line + '\n');
}

void write_if_room(std::string_view bytes) {
  pollfd room{STDERR_FILENO, POLLOUT, 0};
  if (poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0) return;
  [[maybe_unused]] const ssize_t ignored =
      ::write(STDERR_FILENO, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
}

}  // namespace outboxd::log
