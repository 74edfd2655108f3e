// Promise 5, fail stop: once the store has failed, nothing more may be acknowledged by any thread. Ends the process at
// once, without running destructors; the next start recovers.
#pragma once

#include <functional>
#include <string_view>
#include <thread>

namespace outboxd {

inline constexpr int kFailStopStatus = 70;  // the exit status of the process

[[noreturn]] void fail_stop(std::string_view what);

// Starts a thread of the daemon, named `name` (at most 15 bytes). If `body` throws, the process ends with a log
// message. Every thread is started here, so that none ends in std::terminate. Throws std::runtime_error, with advice,
// if the system has no thread to give.
std::thread start_thread(const char* name, std::function<void()> body);

}  // namespace outboxd
