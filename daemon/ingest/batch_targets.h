// What a batch is to act upon, page after page: read by the runner of batches, and by whoever only wants to count.
//
// For retry and discard these are stored deliveries. For a replay they are events times endpoints: those that match the event
// now and existed when the batch was made.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ingest/endpoint_directory.h"
#include "store/store.h"

namespace outboxd {

class BatchTargets {
 public:
  // Events from before `kept_since` may have been delivered without a trace: retention has deleted the deliveries.
  BatchTargets(const EndpointDirectory& directory, std::function<Time()> kept_since)
      : directory_(directory), kept_since_(std::move(kept_since)) {}

  // At most `limit` keys from `place` on, the start if empty; examines a bounded number of rows. Refused: a place of another
  // kind of batch.
  Result<BatchKeys> find(StoreReader& reader, const OperatorBatch& batch, const std::string& place,
                         int limit) const;

  // find(), for whoever does not know this class.
  using Finder =
      std::function<Result<BatchKeys>(StoreReader&, const OperatorBatch&, const std::string&, int)>;
  Finder finder() const;

  // How many match a batch that is not made yet: exactly, unless `exact` says that there are at least so many. Reads no
  // further than kMaxCounted matches or kMaxPagesCounted pages.
  struct Count {
    std::int64_t matched = 0;
    bool exact = false;
  };
  Result<Count> count(StoreReader& reader, OperatorBatch batch) const;
  static constexpr std::int64_t kMaxCounted = 10'000;
  static constexpr int kMaxPagesCounted = 50;

 private:
  Result<BatchKeys> find_events(StoreReader& reader, const OperatorBatch& batch, const std::string& place,
                                int limit) const;
  std::vector<EndpointSeq> endpoints_for(StoreReader& reader, const OperatorBatch& batch,
                                         const BatchEvent& event) const;

  const EndpointDirectory& directory_;
  const std::function<Time()> kept_since_;
};

}  // namespace outboxd
