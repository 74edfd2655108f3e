#include "app/fact_router.h"

namespace outboxd {

void FactRouter::route(Facts facts) {
  const auto is_for_others_only = [this](const Fact& fact) {
    return std::visit([this](const auto& one) { return hear(one); }, fact) == kOthersOnly;
  };
  std::erase_if(facts, is_for_others_only);  // asks about each once, in their order
  if (!facts.empty()) to_.delivery.hear(std::move(facts));
}

bool FactRouter::hear(const PartitionsOwned& fact) {
  to_.delivery.own(fact.partitions, fact.ordered_after);
  if (fact.partitions.test(kHousekeepingPartition)) {
    // What the previous owner did not finish is in the store.
    to_.fan_out.start();
    to_.outbox.start();
    to_.removed_endpoints.start();
    to_.retention.start();
    to_.type_counts.start();
    to_.batches.start();
    to_.backlog.start();
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
    to_.backlog.stop();
  }
  return kOthersOnly;
}

}  // namespace outboxd
