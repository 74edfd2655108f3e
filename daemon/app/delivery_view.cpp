#include "app/delivery_view.h"

#include <algorithm>

#include "api/waiting.h"
#include "app/delivery_picture.h"

namespace outboxd {
namespace {

// For the metrics: deliveries of one endpoint that are not due or not first in their order; more than these are counted
// among those that the lane holds back.
constexpr int kMaxCounted = 1'000;
}  // namespace

Waiting holds_of(const LaneStatus& lane, Time now) {
  Waiting holds{lane.holds, {}};
  if (lane.opens_in) holds.until = now + *lane.opens_in;
  return holds;
}

api::Lanes lanes_of(const EngineStatus* loops, Time now) {
  if (loops == nullptr) return std::nullopt;
  api::Lanes lanes(std::in_place);
  lanes->owned = loops->owned;
  for (const LaneStatus& lane : loops->lanes) {
    api::LaneView view{.in_flight = lane.sending,
                       .consecutive_failures = lane.failures,
                       .breaker_open = lane.open,
                       .holds = holds_of(lane, now),
                       .under_way = lane.under_way,
                       .last_failure = {}};
    std::ranges::sort(view.under_way);
    if (const auto& last = lane.last_failure) view.last_failure = {last->error, last->status, last->at};
    lanes->emplace(lane.endpoint->seq, std::move(view));
  }
  for (const auto& [endpoint, expires_at] : loops->certificates)
    (*lanes)[endpoint].certificate_expires_at = expires_at;
  return lanes;
}

telemetry::Snapshot snapshot_of(const EngineStatus* loops, const EndpointDirectory& directory,
                                const Relays& relays, const Store& shared, StoreReader& reader, Time now) {
  const DueAges ages = read_due_ages(reader, directory);
  telemetry::Snapshot snapshot;
  snapshot.sources = relays.gauges(now);
  const StoreStatus store = reader.status();
  snapshot.pending = store.pending;
  snapshot.delivered = store.delivered;
  snapshot.dead = store.dead;
  snapshot.discarded = store.discarded;
  snapshot.database_bytes = store.database_bytes;
  snapshot.store_figures = store.figures;
  const Ownership ownership = shared.ownership();
  snapshot.members = ownership.members;
  snapshot.partitions_owned = static_cast<std::int64_t>(ownership.partitions.count());
  if (loops) snapshot.in_flight = loops->in_flight;
  const api::Lanes lanes = lanes_of(loops, now);
  for (const auto& endpoint : directory.all()) {
    telemetry::Snapshot::EndpointGauge gauge{
        endpoint->id.to_string(), std::string(to_string(endpoint->state)), 0, {}};
    if (const auto age = ages.find(endpoint->seq); age != ages.end()) {
      gauge.oldest_due_age_seconds = std::chrono::duration<double>(std::max(age->second, Millis(0))).count();
      gauge.waiting = api::count_waiting(reader.counts(endpoint->seq, kMaxCounted), *endpoint, lanes);
    }
    snapshot.endpoints.push_back(std::move(gauge));
  }
  return snapshot;
}

}  // namespace outboxd
