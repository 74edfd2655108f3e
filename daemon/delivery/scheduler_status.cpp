// What the lanes do, for people.
#include <chrono>

#include "delivery/scheduler.h"

namespace outboxd {
namespace {

LaneStatus status_of(const Lane& lane, MonotonicTime now) {
  LaneStatus status{.endpoint = lane.endpoint,
                    .sending = lane.sending,
                    .failures = lane.health.failures(),
                    .open = lane.health.is_open(),
                    .last_failure = lane.last_failure,
                    .holds = WaitingFor::kSlot,
                    .opens_in = {},
                    .under_way = {}};
  const bool pauses = now < lane.health.paused_until();
  if (pauses || status.open) {
    status.holds = pauses && lane.health.was_asked() ? WaitingFor::kRetryAfter : WaitingFor::kBreaker;
  } else if (now < lane.opens_at()) {
    status.holds = WaitingFor::kRateLimit;
  }
  if (now < lane.opens_at()) status.opens_in = std::chrono::ceil<Millis>(lane.opens_at() - now);
  for (const auto& [event, held] : lane.held) {
    if (held.stage != Stage::kWaiting) status.under_way.push_back(event);
  }
  return status;
}

}  // namespace

std::vector<LaneStatus> Scheduler::lanes(Moment now, std::optional<EndpointSeq> only) const {
  std::vector<LaneStatus> lanes;
  const auto add = [&](const Lane& lane) {
    if (!lane.leaving) lanes.push_back(status_of(lane, now.mono));
  };
  if (only) {
    if (const auto one = lanes_.find(*only); one != lanes_.end()) add(*one->second);
    return lanes;
  }
  for (const auto& [seq, lane] : lanes_) {
    if (lane->health.failures() > 0 || lane->sending > 0 || now.mono < lane->opens_at()) add(*lane);
  }
  return lanes;
}

}  // namespace outboxd
