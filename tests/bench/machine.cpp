#include "bench/machine.h"

#include <openssl/crypto.h>
#include <sqlite3.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "common/clock.h"

namespace outboxd::bench {
namespace {

std::string first_line_with(const char* path, const std::string& start) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(start)) continue;
    const auto colon = line.find(':');
    return line.substr(line.find_first_not_of(" \t", colon + 1));
  }
  return "";
}

// Of the mount that `folder` is below, or its number in statfs(2) where the mounts do not say.
std::string filesystem_of(const std::filesystem::path& folder) {
  const std::string inside = std::filesystem::absolute(folder).lexically_normal().string() + "/";
  std::ifstream mounts("/proc/self/mounts");
  std::string found, at;
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string device, point, type;
    words >> device >> point >> type;
    const std::string below = point == "/" ? point : point + "/";
    if (!inside.starts_with(below) || point.size() < at.size()) continue;
    at = point;
    found = type;
  }
  if (!found.empty()) return found;
  struct statfs disk {};
  statfs(folder.c_str(), &disk);
  return std::to_string(disk.f_type);
}

}  // namespace

Json machine(const std::filesystem::path& folder) {
  utsname system{};
  uname(&system);
  double load = 0;
  getloadavg(&load, 1);
  return {{"measured_at", format_time(SystemClock().wall())},
          {"cpu", first_line_with("/proc/cpuinfo", "model name")},
          {"cores", std::thread::hardware_concurrency()},
          {"memory", first_line_with("/proc/meminfo", "MemTotal")},
          {"kernel", system.release},
          {"filesystem", filesystem_of(folder)},
          {"sqlite", sqlite3_libversion()},
          {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)},
          {"compiler", __VERSION__},
          {"load_before", load}};
}

std::chrono::milliseconds stolen() {
  std::ifstream file("/proc/stat");
  std::string name;
  std::int64_t ticks = 0;
  file >> name;
  for (int field = 0; field < 8; ++field) file >> ticks;  // proc(5): the eighth is "steal"
  return std::chrono::milliseconds(ticks * 1000 / sysconf(_SC_CLK_TCK));
}

}  // namespace outboxd::bench
