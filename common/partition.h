// A partition: a share of the endpoints that one daemon owns at a time. Only the owner fetches, sends and records for
// its endpoints. Work that only one daemon may do (fan-out, routing the SQL outbox, retention, cleaning up after
// removed endpoints) belongs to the owner of partition 0.
#pragma once

#include <bitset>

#include "common/id.h"

namespace outboxd {

inline constexpr int kPartitions = 256;
using Partition = int;  // 0 to kPartitions - 1
using PartitionSet = std::bitset<kPartitions>;

inline constexpr Partition kHousekeepingPartition = 0;

constexpr Partition partition_of(EndpointSeq endpoint) {
  return static_cast<Partition>(endpoint % kPartitions);
}

}  // namespace outboxd
