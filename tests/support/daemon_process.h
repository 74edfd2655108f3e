// The real outboxd as a child process, in a folder of its own, for benchmarks. It does not outlive this
// process, however that ends.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace outboxd::test {

class DaemonProcess {
 public:
  // Starts `binary` on the database in `folder`, or on that of the URL `store`; returns when it answers. `delivery`: more
  // lines for the configuration's section [delivery]. Throws std::runtime_error with its log when it does not start. Call it on a
  // thread that lives at least as long as the daemon shall, because the daemon dies with the thread.
  DaemonProcess(std::string binary, std::filesystem::path folder, const std::string& delivery = "",
                const std::string& store = "");
  ~DaemonProcess();  // SIGTERM, and SIGKILL when it takes too long
  DaemonProcess(const DaemonProcess&) = delete;

  void start();  // starts it again, after stop() or kill()
  // SIGTERM, and waits. Throws std::runtime_error when it has to be killed, or does not exit with 0.
  void stop();
  void kill();  // SIGKILL, and waits

  std::string admin_socket() const { return (folder_ / "admin.sock").string(); }
  std::string ingest_socket() const { return (folder_ / "ingest.sock").string(); }
  std::string database() const { return (folder_ / "outbox.db").string(); }
  std::string log() const;  // what it has written so far
  // CLOCK_MONOTONIC in ns, just before the last start; durations of a start count from here.
  std::int64_t started_at() const { return started_at_; }
  std::chrono::nanoseconds cpu() const;  // user and system time of the process since it was started
  std::map<std::string, std::chrono::nanoseconds> cpu_by_thread() const;  // by name; living threads only
  long resident_kib() const;
  long peak_resident_kib() const;
  int open_files() const;

 private:
  bool answers() const;
  int end(int signal);  // sends it and waits, kills it when it takes too long; returns its wait status
  long status_kib(const char* field) const;

  std::string binary_;
  std::filesystem::path folder_;
  pid_t pid_ = -1;
  std::int64_t started_at_ = 0;
};

// One request over a Unix socket, and its whole answer ("" when nobody listens); for setting things up, not
// for speed.
std::string http_over_unix(const std::string& socket, const std::string& request_head,
                           const std::string& body);

}  // namespace outboxd::test
