#include "maintenance/removed_endpoints.h"

#include "telemetry/log.h"

namespace outboxd {
namespace {

constexpr std::int64_t kDeliveriesAtOnce = 1000;

}  // namespace

void RemovedEndpoints::sweep() {
  again_ = true;
  if (!sweeping_.exchange(true)) step();
}

void RemovedEndpoints::step() {
  again_ = false;
  commits_.submit(DiscardRemoved{.limit = kDeliveriesAtOnce, .at = clock_.wall()}, [this](Write& write) {
    if (write.refused) {
      // The store is busy, full or stopping: the next removal or the next start goes on.
      log::warn("deliveries of removed endpoints were not discarded yet", {{"error", write.refused->detail}});
    } else if (std::get<DiscardRemoved>(write.command).discarded == kDeliveriesAtOnce || again_) {
      return step();
    }
    sweeping_ = false;
  });
}

}  // namespace outboxd
