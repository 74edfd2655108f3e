#include "store/fail_stop.h"

#include <unistd.h>

#include "store/store.h"
#include "telemetry/log.h"

namespace outboxd {

void fail_stop(std::string_view what) {
  log::error(
      "the store failed: stopping at once, nothing more is acknowledged; look at the disk, then start again",
      {{"error", what}, {"exit_status", kExitStoreFailure}});
  _exit(kExitStoreFailure);
}

}  // namespace outboxd
