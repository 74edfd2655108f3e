// Why this user may not connect to a Unix socket of the daemon's, and what an administrator does about it.
#pragma once

#include <optional>
#include <string>

namespace outboxd::ctl {

struct SocketDenied {
  std::string found;  // who may not open what, and whose it is
  std::string mend;
};

// Absent: permission is not what is missing.
std::optional<SocketDenied> why_socket_denied(const std::string& path);

}  // namespace outboxd::ctl
