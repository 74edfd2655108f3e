#include "app/process.h"

#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <utility>

#include "store/fail_stop.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

// SQLite maps the index of the write-ahead log into memory: if somebody truncates that file, the only sign is SIGBUS.
void stop_on_bus_error(int) {
  log::write_if_room(
      "outboxd: SIGBUS: a file that was mapped into memory was cut short (the database's -shm?)\n");
  _exit(kFailStopStatus);
}

}  // namespace

std::int64_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t soft = std::exchange(limit.rlim_cur, limit.rlim_max);
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = soft;
  return static_cast<std::int64_t>(
      std::min<rlim_t>(limit.rlim_cur, std::numeric_limits<std::int32_t>::max()));
}

// systemd-coredump obeys a limit of 0; other programs that core_pattern names do not, so the memory is also excluded
// from what they are given (core(5)).
void forbid_core_dumps() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  std::ofstream("/proc/self/coredump_filter") << "0";
}

void handle_fatal_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGBUS, stop_on_bus_error);
}

sigset_t handled_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

void hold_signals() {
  const sigset_t signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

void release_signals() {
  const sigset_t signals = handled_signals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

bool stop_signal_within(Millis time) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const timespec limit{.tv_sec = static_cast<time_t>(seconds.count()),
                       .tv_nsec = static_cast<long>(std::chrono::nanoseconds(time - seconds).count())};
  return sigtimedwait(&signals, nullptr, &limit) > 0;
}

std::string path_if_there(const std::string& file) {
  std::error_code error;
  return std::filesystem::exists(file, error) ? std::filesystem::absolute(file, error).string() : "";
}

std::optional<std::int64_t> free_bytes_beside(const std::string& file) {
  struct statvfs disk {};
  const std::string folder = std::filesystem::path(file).parent_path();
  if (statvfs(folder.c_str(), &disk) != 0) return std::nullopt;
  return static_cast<std::int64_t>(disk.f_bavail) * static_cast<std::int64_t>(disk.f_frsize);
}

}  // namespace outboxd
