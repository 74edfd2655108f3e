#include "store/fail_stop.h"

#include <pthread.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "store/errors.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

[[noreturn]] void stop_at_once(std::string_view message, std::string_view what) {
  log::last_words(message, {{"error", what}, {"exit_status", kFailStopStatus}});
  _exit(kFailStopStatus);
}

void run_guarded(const char* name, const std::function<void()>& body) noexcept {
  try {
    body();
  } catch (const StoreError& failure) {
    fail_stop(failure.what());
  } catch (const std::exception& failure) {
    stop_at_once("a thread failed: stopping at once, nothing more is acknowledged; start again",
                 std::string(name) + ": " + failure.what());
  }
}

}  // namespace

void fail_stop(std::string_view what) {
  stop_at_once(
      "the store failed: stopping at once, nothing more is acknowledged; look at the disk, then start again",
      what);
}

std::thread start_thread(const char* name, std::function<void()> body) {
  try {
    return std::thread([name, body = std::move(body)] {
      pthread_setname_np(pthread_self(), name);
      run_guarded(name, body);
    });
  } catch (const std::system_error& error) {
    throw std::runtime_error(std::string("the thread \"") + name + "\" cannot be made: " + error.what() +
                             "; raise the limit of processes (ulimit -u, or TasksMax= in the unit)");
  }
}

}  // namespace outboxd
