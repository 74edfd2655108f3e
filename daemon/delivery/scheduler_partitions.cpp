// The lanes of partitions that come and go.
#include <algorithm>

#include "delivery/scheduler.h"

namespace outboxd {

std::vector<EndpointSeq> Scheduler::lanes_of(const PartitionSet& partitions) const {
  std::vector<EndpointSeq> endpoints;
  for (const auto& [seq, lane] : lanes_) {
    if (partitions.test(static_cast<std::size_t>(partition_of(seq)))) endpoints.push_back(seq);
  }
  return endpoints;
}

void Scheduler::hold_ordered(const PartitionSet& partitions, MonotonicTime until) {
  for (std::size_t i = 0; i < ordered_from_.size(); ++i) {
    if (partitions.test(i)) ordered_from_[i] = until;
  }
}

bool Scheduler::is_rid_of(const PartitionSet& partitions) const {
  return std::ranges::none_of(lanes_, [&](const auto& lane) {
    return partitions.test(static_cast<std::size_t>(partition_of(lane.first))) && !lane.second->held.empty();
  });
}

}  // namespace outboxd
