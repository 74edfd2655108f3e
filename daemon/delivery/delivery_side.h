// The delivery side, as the receiver of facts: one engine, or several behind one interface. Any thread.
#pragma once

#include <functional>

#include "store/facts.h"

namespace outboxd {

class DeliverySide {
 public:
  virtual ~DeliverySide() = default;
  virtual void hear(Facts facts) = 0;  // in the order of their commits
  // Start and stop the lanes of these partitions' endpoints. What has a sequence key is not sent before `ordered_after`
  // has passed. On disown, requests under way are finished, or aborted if `abort`; `done` runs when they are over and
  // recorded, with the partitions that were not owned again meanwhile. A second disown may abort what the first let
  // finish.
  using Disowned = std::function<void(const PartitionSet&)>;
  virtual void own(const PartitionSet& partitions, Millis ordered_after) = 0;
  virtual void disown(const PartitionSet& partitions, bool abort, Disowned done) = 0;
};

}  // namespace outboxd
