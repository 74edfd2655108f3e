// outboxd's own events, for endpoints of tenant `_ops`, made from the facts that it hears. Nothing is announced about
// those endpoints themselves, or it would go on for ever. An announcement is a separate commit after the one that it
// reports: a crash between the two loses it.
#pragma once

#include <string>

#include "common/json.h"
#include "ingest/ingest.h"
#include "store/facts.h"

namespace outboxd {

class OperationalEvents {
 public:
  OperationalEvents(Ingest& ingest, const EndpointDirectory& directory, const Clock& clock)
      : ingest_(ingest), directory_(directory), clock_(clock) {}

  void hear(const OutcomeRecorded& fact);    // outboxd.delivery.dead
  void hear(const EndpointChanged& fact);    // outboxd.endpoint.disabled
  void hear(const EndpointFailing& fact);    // outboxd.endpoint.failing
  void hear(const EndpointRecovered& fact);  // outboxd.endpoint.recovered
  void hear(const BatchChanged& fact);       // outboxd.batch.finished, also of one that was cancelled
  // So many deliveries are pending, and the limit is that: outboxd.backlog.high, or that this is over.
  void backlog(bool high, std::int64_t pending, std::int64_t limit);

 private:
  // Asked first, so that no payload is made for nobody.
  bool is_wanted(const Endpoint& about, std::string_view type) const;
  void announce(std::string type, const Json& payload);

  Ingest& ingest_;
  const EndpointDirectory& directory_;
  const Clock& clock_;
};

}  // namespace outboxd
