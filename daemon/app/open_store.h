// The store that [store] url names. Only here and in options.h is it known which kinds there are.
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>

#include "common/secret_box.h"
#include "config/config.h"
#include "store/clock_steps.h"
#include "store/store.h"
#include "telemetry/metrics.h"

namespace outboxd {

// SIGTERM or SIGINT came while the daemon waited for its store.
struct StoppedWaiting : std::runtime_error {
  StoppedWaiting() : std::runtime_error("stopped while waiting for the store") {}
};

// Does `work` as soon as the store's server can be reached, however long that takes; the service manager and the log are
// told that it waits. Throws StoppedWaiting, and whatever `work` throws that another try would not mend.
void once_reachable(const std::function<void()>& work);

// Opens, creates or migrates it. Waits for a server as above. Throws StoreError too for a URL of a kind that this build
// does not have.
std::unique_ptr<Store> open_store(const config::Config& config, std::shared_ptr<const SecretBox> secrets,
                                  telemetry::Metrics& metrics, ClockSteps& clock_steps);

}  // namespace outboxd
