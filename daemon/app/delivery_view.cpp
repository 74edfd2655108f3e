#include "app/delivery_view.h"

#include <algorithm>
#include <span>
#include <unordered_map>

#include "api/waiting.h"

namespace outboxd {
namespace {

constexpr int kEndpointsAtOnce = 250;  // in one read, which takes a millisecond or two
constexpr std::size_t kWorstEndpoints = 10;
// For the metrics: deliveries of one endpoint that are not due or not first in their order; more than these are counted
// among those that the lane holds back.
constexpr int kMaxCounted = 1'000;
// Below this a due delivery is simply on its way, and no reason to look at its endpoint.
constexpr Millis kLate = std::chrono::seconds(1);

// How long the oldest due delivery of each endpoint with anything pending has been due; negative: it becomes due in that
// time.
using DueAges = std::unordered_map<EndpointSeq, Millis>;

DueAges read_due_ages(StoreReader& reader, const EndpointDirectory& directory) {
  DueAges ages;
  EndpointSeq after = 0;
  for (int found = kEndpointsAtOnce; found == kEndpointsAtOnce;) {
    const auto page = reader.oldest_due(after, kEndpointsAtOnce);
    for (const OldestDue& one : page) {
      after = one.endpoint;
      if (directory.find(one.endpoint)) ages[one.endpoint] = one.age;
    }
    found = static_cast<int>(page.size());
  }
  return ages;
}

bool is_worse(const api::DeliveryStatus::Lane& a, const api::DeliveryStatus::Lane& b) {
  const auto seconds_due = [](const api::DeliveryStatus::Lane& lane) {
    return std::chrono::floor<std::chrono::seconds>(lane.oldest_due_age.value_or(Millis(0)));
  };
  if (seconds_due(a) != seconds_due(b)) return seconds_due(a) > seconds_due(b);
  if (a.consecutive_failures != b.consecutive_failures)
    return a.consecutive_failures > b.consecutive_failures;
  return a.endpoint < b.endpoint;
}

Waiting holds_of(const LaneStatus& lane, Time now) {
  Waiting holds{lane.holds, {}};
  if (lane.opens_in) holds.until = now + *lane.opens_in;
  return holds;
}

}  // namespace

api::Lanes lanes_of(const EngineStatus* loops, Time now) {
  if (loops == nullptr) return std::nullopt;
  api::Lanes lanes(std::in_place);
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

api::DeliveryStatus view_of(const EngineStatus* loops, const EndpointDirectory& directory,
                            StoreReader& reader, Time now) {
  const DueAges ages = read_due_ages(reader, directory);
  std::unordered_map<EndpointSeq, api::DeliveryStatus::Lane> bad;
  api::DeliveryStatus view;
  for (const auto& [seq, age] : ages) {
    if (age < Millis(0)) continue;
    view.oldest_due_age = std::max(view.oldest_due_age.value_or(age), age);
    if (age >= kLate) bad[seq].oldest_due_age = age;
  }
  if (loops) {
    view.in_flight = loops->in_flight;
    for (const LaneStatus& lane : loops->lanes) {
      const EndpointSeq seq = lane.endpoint->seq;
      if (lane.failures == 0 && !bad.contains(seq)) continue;
      auto& one = bad[seq];
      one.in_flight = lane.sending;
      one.consecutive_failures = lane.failures;
      if (lane.failures > 0 && lane.last_failure) one.last_error = lane.last_failure->error;
      one.holds = holds_of(lane, now);
    }
  }
  std::vector<std::pair<EndpointSeq, api::DeliveryStatus::Lane>> all;
  for (auto& [seq, lane] : bad) {
    const EndpointPtr endpoint = directory.find(seq);
    if (!endpoint) continue;
    lane.endpoint = endpoint->id;
    all.emplace_back(seq, std::move(lane));
  }
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(kWorstEndpoints, all.size()));
  std::partial_sort(all.begin(), end, all.end(),
                    [](const auto& a, const auto& b) { return is_worse(a.second, b.second); });
  for (auto& [seq, lane] : std::span(all.begin(), end)) {
    lane.backlog = reader.counts(seq, 0).deliveries.pending;
    view.worst_endpoints.push_back(std::move(lane));
  }
  return view;
}

telemetry::Snapshot snapshot_of(const EngineStatus* loops, const EndpointDirectory& directory,
                                const Relays& relays, StoreReader& reader, Time now) {
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
