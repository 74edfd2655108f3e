#include "maintenance/removed_endpoints.h"

#include <algorithm>

#include "telemetry/log.h"

namespace outboxd {

void RemovedEndpoints::start() {
  stopped_ = false;
  sweep();
}

void RemovedEndpoints::sweep() {
  if (stopped_) return;
  again_ = true;
  if (!sweeping_.exchange(true)) step();
}

void RemovedEndpoints::step() {
  again_ = false;
  commits_.submit(DiscardRemoved{.limit = kRows, .at = clock_.wall()},
                  [this](const DiscardRemoved&, const Result<Discarded>& discarded) {
                    if (!discarded) return try_later(discarded.error());
                    wait_ = Millis(0);
                    if (discarded->more && !stopped_) return step();
                    sweeping_ = false;
                    if (again_) sweep();
                  });
}

// The store is busy or full, or outboxd is stopping: then the retry never runs, and the next start continues.
void RemovedEndpoints::try_later(const Problem& refused) {
  if (wait_ == Millis(0))
    log::warn("deliveries of removed endpoints are not discarded yet, trying again",
              {{"error", refused.detail}});
  wait_ = std::clamp(2 * wait_, kFirstWait, kMaxWait);
  executor_.post([this, wait = wait_] { executor_.call_at(executor_.now() + wait, [this] { step(); }); });
}

}  // namespace outboxd
