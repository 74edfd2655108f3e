#include "telemetry/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>

namespace outboxd::telemetry {
namespace {

using prometheus::MetricType;

// Values of /proc/self/stat, proc(5). Fields are counted after the command name, which may itself hold spaces and
// parentheses.
struct Stat {
  double cpu_seconds, start_seconds_after_boot, virtual_bytes, resident_bytes;
};

std::optional<Stat> read_stat() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  const auto end_of_name = line.rfind(')');
  if (end_of_name == std::string::npos) return std::nullopt;
  std::istringstream rest(line.substr(end_of_name + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) rest >> skipped;
  double utime = 0, stime = 0, starttime = 0, vsize = 0, rss = 0;
  rest >> utime >> stime;
  for (int field = 16; field < 22; ++field) rest >> skipped;
  rest >> starttime >> vsize >> rss;
  if (!rest) return std::nullopt;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  return Stat{(utime + stime) / ticks, starttime / ticks, vsize, rss * page};
}

double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Not read from /proc/stat, which ProcSubset=pid hides. Computed once: a metric that never changes should not flicker.
double boot_time() {
  static const double time = seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME);
  return time;
}

std::optional<double> count_open_fds() {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("/proc/self/fd"), closedir);
  if (!directory) return std::nullopt;
  double n = -1;  // the directory's own descriptor
  while (const dirent* entry = readdir(directory.get())) {
    if (entry->d_name[0] != '.') ++n;
  }
  return n;
}

}  // namespace

prometheus::MetricFamily single_metric(std::string name, std::string help, MetricType type, double value) {
  prometheus::MetricFamily family;
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = type;
  auto& metric = family.metric.emplace_back();
  if (type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  return family;
}

std::vector<prometheus::MetricFamily> process_metrics() {
  std::vector<prometheus::MetricFamily> families;
  const auto add = [&](const char* name, const char* help, MetricType type, double value) {
    families.push_back(single_metric(name, help, type, value));
  };
  if (const auto stat = read_stat()) {
    add("process_cpu_seconds_total", "User and system CPU time spent, in seconds.", MetricType::Counter,
        stat->cpu_seconds);
    add("process_virtual_memory_bytes", "Virtual memory size.", MetricType::Gauge, stat->virtual_bytes);
    add("process_resident_memory_bytes", "Resident memory size.", MetricType::Gauge, stat->resident_bytes);
    add("process_start_time_seconds", "When the process started, in seconds since the epoch.",
        MetricType::Gauge, boot_time() + stat->start_seconds_after_boot);
  }
  if (const auto fds = count_open_fds()) {
    add("process_open_fds", "Open file descriptors.", MetricType::Gauge, *fds);
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    add("process_max_fds", "Most file descriptors that may be open.", MetricType::Gauge,
        static_cast<double>(limit.rlim_cur));
  }
  return families;
}

}  // namespace outboxd::telemetry
