// An outboxd for a developer, as a child process on a store of its own that goes with it.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/time.h"

namespace outboxd::ctl {

// The outboxd beside this program, else the first one in PATH. Throws Failure when there is none.
std::string find_outboxd();

class DevDaemon {
 public:
  // Starts it, with http and loopback allowed and everything it writes in one new folder. `port`: of its API over TCP, 0 is
  // any free one. Throws Failure.
  DevDaemon(const std::string& outboxd, int port);
  ~DevDaemon();  // ends it, waits for that, and removes the folder
  DevDaemon(const DevDaemon&) = delete;

  // Waits until it serves. Throws Failure with the end of its log when it ends instead, or takes too long.
  void wait_until_ready();
  bool runs();
  std::string log_end() const;
  const std::string& socket() const { return socket_; }

 private:
  void start(const std::string& outboxd);

  struct Folder {
    Folder();
    ~Folder();
    Folder(const Folder&) = delete;
    std::string path;
  };
  const Folder folder_;
  const std::string socket_;
  pid_t pid_ = -1;
};

}  // namespace outboxd::ctl
