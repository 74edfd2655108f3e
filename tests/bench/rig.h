// What every scenario needs: how large the run is, endpoints, patience, and the checks that decide whether the
// run failed.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "bench/producer.h"
#include "bench/report.h"
#include "bench/sink.h"
#include "support/daemon_process.h"

namespace outboxd::bench {

struct Settings {
  std::string daemon;            // the binary
  std::filesystem::path folder;  // results; each scenario has a folder of its own in it while it runs
  bool quick = false;
  bool references = true;              // also measures what the daemon is compared with: limit, bare commits
  std::vector<std::int64_t> backlogs;  // pending deliveries
  int hanging = 10'000;                // endpoints
  int fan_out = 10'000;                // endpoints of one event
  int snapshot_seconds = 60;           // how long somebody keeps a snapshot of PostgreSQL open

  std::int64_t scaled(std::int64_t quick_form, std::int64_t otherwise) const {
    return quick ? quick_form : otherwise;
  }
};

// A folder for databases, empty; gone at the end, unless an exception is under way: then its log is wanted.
class ScenarioFolder {
 public:
  ScenarioFolder(const Settings& settings, const std::string& name);
  ~ScenarioFolder();
  ScenarioFolder(const ScenarioFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int exceptions_;
};

struct EndpointSpec {
  std::string url;
  std::string tenant = {};
  std::string more = {};  // further members of the JSON object: R"(,"timeout":"2s")"
};
// Signed with Sink::secret(). Throws std::runtime_error when the daemon refuses one.
void create_endpoints(const test::DaemonProcess& daemon, std::span<const EndpointSpec> endpoints);

Json status_of(const test::DaemonProcess& daemon);           // GET /v1/status
std::int64_t pending_in(const test::DaemonProcess& daemon);  // deliveries whose end is not committed yet

// Looks every 2 ms. False when it has not come true in time.
bool wait_for(const std::function<bool()>& condition, std::chrono::seconds patience);

// Each adds to `failures` what went wrong.
void check_accepted(Result& result, const LoadResult& load, const std::string& what);
// Everything of the stream has arrived; or, of those in `load`, what was accepted.
void check_arrived(Result& result, const Sink& sink, int stream, const LoadResult* load = nullptr);
void check_sink(Result& result, const Sink& sink);  // and notes what it has counted

// The daemon's CPU since this was made, an event: in all and by thread.
class CpuMeter {
 public:
  explicit CpuMeter(const test::DaemonProcess& daemon);
  void add_to(Json& figures, std::int64_t events) const;  // "cpu_us_per_event", "cpu_us_by_thread"

 private:
  const test::DaemonProcess& daemon_;
  std::chrono::nanoseconds before_;
  std::map<std::string, std::chrono::nanoseconds> by_thread_before_;
};

double per_event_us(std::chrono::nanoseconds cpu, std::int64_t events);
double mib(long kib);
double seconds_between(std::int64_t from_ns, std::int64_t to_ns);

}  // namespace outboxd::bench
