// The daemon's connection to the service manager (sd_notify(3), sd_listen_fds(3)): state, watchdog, and sockets passed
// by it. Without a service manager every call does nothing. Only app uses it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/problem.h"
#include "common/time.h"

namespace outboxd {

class ServiceManager {
 public:
  // `status` is one line for `systemctl status`. All thread safe.
  void ready(std::string_view status) const;
  void reloading() const;  // to be followed by ready() when done
  void stopping(std::string_view status) const;
  // Not ready yet, and for so long the manager should not lose patience. To be called again before it has passed.
  void starting(std::string_view status, Millis patience) const;
  void status(std::string_view status) const;
  void watchdog() const;  // "still making progress"; the caller decides whether that is true
};

// A listening socket from a socket unit. The receiver closes it.
struct InheritedSocket {
  enum class Use { kIngest, kAdmin, kTcp };
  Use use;
  int fd;
  bool loopback;  // only processes of this machine can reach it; false for TCP on any other address
};

// The sockets named ingest, admin and tcp by FileDescriptorName=. Refuses all of them if one has any other name, is not
// a listening stream socket, or is an ingest or admin socket but not a Unix one (callers on those are trusted by file
// mode alone) or a Unix socket named tcp. Call it once, before threads start; the descriptors are made non-blocking and
// are not inherited by child processes.
Result<std::vector<InheritedSocket>> inherited_sockets();

}  // namespace outboxd
