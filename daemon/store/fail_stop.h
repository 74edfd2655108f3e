// Promise 5, fail stop: after the store failed nothing more may be acknowledged, by anybody. Ends the process
// at once, without running destructors; recovery is the next start's.
#pragma once

#include <functional>
#include <string_view>
#include <thread>

namespace outboxd {

inline constexpr int kFailStopStatus = 70;  // EX_SOFTWARE: what the process ends with

[[noreturn]] void fail_stop(std::string_view what);

// A thread of the daemon: named `name`, at most 15 bytes, and the end of the process if `body` throws. Every thread is made
// here, so that none ends in std::terminate. Throws std::runtime_error, with what to do, when there is no thread to be had.
std::thread start_thread(const char* name, std::function<void()> body);

}  // namespace outboxd
