// How an unsuccessful command ends: thrown anywhere below run(), printed once, turned into the exit status.
#pragma once

#include <stdexcept>
#include <string>

namespace outboxd::ctl {

// Exit statuses, which scripts that call outboxctl rely on (docs/reference.md).
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // or only partly done
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNotFound = 3;
inline constexpr int kExitRefused = 4;
inline constexpr int kExitUnreachable = 5;
inline constexpr int kExitConfiguration = 78;

// `what` may have several lines; control bytes in what came from outside are escaped already.
struct Failure : std::runtime_error {
  Failure(int code, const std::string& what) : std::runtime_error(what), exit_code(code) {}
  int exit_code;
};

// The exit status for an answer of the API: 0 for 2xx, 3 for 404, 4 for any other 4xx, 1 for the rest.
constexpr int exit_code_of_status(int http_status) {
  if (http_status >= 200 && http_status < 300) return kExitOk;
  if (http_status == 404) return kExitNotFound;
  if (http_status >= 400 && http_status < 500) return kExitRefused;
  return kExitFailed;
}

// The exit status of one command over several items: the common one if all ended alike, else 1.
constexpr int combine_exit_codes(int so_far, int next, bool first) {
  return first || so_far == next ? next : kExitFailed;
}

}  // namespace outboxd::ctl
