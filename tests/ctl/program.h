// The real outboxctl as a child process: run to its end, or kept running and read line by line.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace outboxd::test {

struct Ended {
  int exit_code = -1;
  std::string out, err;
};

using Arguments = std::vector<std::string>;

// Without a terminal, and with none of the caller's OUTBOXD_ variables. `environment`: "NAME=value".
Ended outboxctl(const Arguments& arguments, const std::string& input = "", const Arguments& environment = {});

class RunningOutboxctl {
 public:
  explicit RunningOutboxctl(const Arguments& arguments);
  ~RunningOutboxctl();  // SIGKILL, if it still runs
  RunningOutboxctl(const RunningOutboxctl&) = delete;

  std::string read_line();  // of stdout; throws std::runtime_error after 10 seconds without one
  int interrupt();          // SIGINT, and its exit status

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  std::string buffered_;
};

// A file in a folder that goes when this does.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace outboxd::test
