// The real outboxd as a child process, in a folder of its own, for benchmarks.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>

namespace outboxd::test {

class DaemonProcess {
 public:
  // Starts `binary` on a database in `folder`; returns when it answers. Throws std::runtime_error with its
  // log when it does not.
  DaemonProcess(const std::string& binary, std::filesystem::path folder);
  ~DaemonProcess();  // SIGTERM, and SIGKILL when it takes too long
  DaemonProcess(const DaemonProcess&) = delete;

  std::string admin_socket() const { return (folder_ / "admin.sock").string(); }
  std::string ingest_socket() const { return (folder_ / "ingest.sock").string(); }
  std::chrono::microseconds cpu() const;  // user and system time of the process so far
  long resident_kib() const;

 private:
  std::filesystem::path folder_;
  pid_t pid_ = -1;
};

// One request over a Unix socket, and its whole answer; for setting things up, not for speed.
std::string http_over_unix(const std::string& socket, const std::string& request_head,
                           const std::string& body);

}  // namespace outboxd::test
