#include "app/fact_router.h"

namespace outboxd {

void FactRouter::route(Facts facts) {
  Facts for_delivery;
  for_delivery.reserve(facts.size());
  for (Fact& fact : facts) {
    if (std::visit([this](const auto& one) { return hear(one); }, fact) == kDeliveryToo)
      for_delivery.push_back(std::move(fact));
  }
  if (!for_delivery.empty()) to_.delivery.hear(std::move(for_delivery));
}

bool FactRouter::hear(const PartitionsOwned& fact) {
  to_.delivery.own(fact.partitions);
  if (fact.partitions.test(kHousekeepingPartition)) {
    // What the previous owner did not finish is in the store.
    to_.fan_out.start();
    to_.outbox.start();
    to_.removed_endpoints.start();
    to_.retention.start();
    to_.type_counts.start();
    to_.batches.start();
  }
  return kOthersOnly;
}

bool FactRouter::hear(const PartitionsLost& fact) {
  to_.delivery.disown(fact.partitions, fact.abort,
                      [this](const PartitionSet& disowned) { store_.release(disowned); });
  if (fact.partitions.test(kHousekeepingPartition)) {
    to_.fan_out.stop();
    to_.outbox.stop();
    to_.removed_endpoints.stop();
    to_.retention.stop();
    to_.type_counts.stop();
    to_.batches.stop();
  }
  return kOthersOnly;
}

}  // namespace outboxd
