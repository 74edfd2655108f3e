#include "app/change_watch.h"

#include "store/fail_stop.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

constexpr Millis kTimeout{250};  // how late a change by others is found when no notice of it came

}  // namespace

void ChangeWatch::start() {
  watching_ = true;
  thread_ = start_thread("changes", [this] { watch(); });
}

void ChangeWatch::watch() {
  while (watching_) {
    try {
      facts_.route(store_.wait_for_changes(kTimeout));
    } catch (const StoreError& error) {
      if (!error.may_try_again()) throw;
      log::warn("the store could not be watched, trying again", {{"error", error.what()}});
      std::this_thread::sleep_for(kTimeout);
    }
  }
}

void ChangeWatch::stop() {
  watching_ = false;
  store_.interrupt();
  if (thread_.joinable()) thread_.join();
}

}  // namespace outboxd
