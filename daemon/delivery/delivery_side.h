// The delivery side, as facts reach it: an engine, or several behind one face. Any thread.
#pragma once

#include <functional>

#include "store/facts.h"

namespace outboxd {

class DeliverySide {
 public:
  virtual ~DeliverySide() = default;
  virtual void hear(Facts facts) = 0;  // in the order of their commits
  // Starts and stops the lanes of these partitions' endpoints. What is under way is let finish, or aborted; `done` runs
  // when it is over and recorded, for those of the partitions that are not owned again meanwhile.
  using Disowned = std::function<void(const PartitionSet&)>;
  virtual void own(const PartitionSet& partitions) = 0;
  virtual void disown(const PartitionSet& partitions, bool abort, Disowned done) = 0;
};

}  // namespace outboxd
