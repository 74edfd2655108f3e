#include "app/delivery_view.h"

#include <algorithm>
#include <span>

namespace outboxd {
namespace {

constexpr int kEndpointsAtOnce = 250;  // in one read, which takes a millisecond or two
constexpr std::size_t kWorstEndpoints = 10;
constexpr int kMaxCounted = 1000;  // deliveries in the backlog of one of these
// Below this a due delivery is simply on its way, and no reason to look at its endpoint.
constexpr Millis kLate = std::chrono::seconds(1);

bool is_worse(const api::DeliveryStatus::Lane& a, const api::DeliveryStatus::Lane& b) {
  const auto seconds_due = [](const api::DeliveryStatus::Lane& lane) {
    return std::chrono::floor<std::chrono::seconds>(lane.oldest_due_age.value_or(Millis(0)));
  };
  if (seconds_due(a) != seconds_due(b)) return seconds_due(a) > seconds_due(b);
  if (a.consecutive_failures != b.consecutive_failures)
    return a.consecutive_failures > b.consecutive_failures;
  return a.endpoint < b.endpoint;
}

}  // namespace

DueAges read_due_ages(StoreReader& reader, const EndpointDirectory& directory) {
  DueAges ages;
  EndpointSeq after = 0;
  for (int found = kEndpointsAtOnce; found == kEndpointsAtOnce;) {
    const auto page = reader.oldest_due(after, kEndpointsAtOnce);
    for (const OldestDue& one : page) {
      after = one.endpoint;
      if (one.age >= Millis(0) && directory.find(one.endpoint)) ages[one.endpoint] = one.age;
    }
    found = static_cast<int>(page.size());
  }
  return ages;
}

api::DeliveryStatus view_of(const EngineStatus* loops, const DueAges& ages,
                            const EndpointDirectory& directory, StoreReader& reader) {
  std::unordered_map<EndpointSeq, api::DeliveryStatus::Lane> bad;
  api::DeliveryStatus view;
  for (const auto& [seq, age] : ages) {
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
      one.last_error = lane.last_error;
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
    lane.backlog = reader.backlog(seq, kMaxCounted);
    view.worst_endpoints.push_back(std::move(lane));
  }
  return view;
}

telemetry::Snapshot snapshot_of(const EngineStatus* loops, const DueAges& ages,
                                const EndpointDirectory& directory, StoreReader& reader) {
  telemetry::Snapshot snapshot;
  const StoreStatus store = reader.status();
  snapshot.pending = store.pending;
  snapshot.delivered = store.delivered;
  snapshot.dead = store.dead;
  snapshot.discarded = store.discarded;
  snapshot.database_bytes = store.database_bytes;
  snapshot.store_figures = store.figures;
  if (loops) snapshot.in_flight = loops->in_flight;
  for (const auto& endpoint : directory.all()) {
    const auto age = ages.find(endpoint->seq);
    const Millis due = age == ages.end() ? Millis(0) : age->second;
    snapshot.endpoints.push_back({endpoint->id.to_string(), std::string(to_string(endpoint->state)),
                                  std::chrono::duration<double>(due).count()});
  }
  return snapshot;
}

}  // namespace outboxd
