// Who hears which fact: the only way in which the parts of the daemon learn what was committed.
//
// Facts come from the writer's thread after each commit, and as hints from the thread that waits for the commits of
// others. They are handed on in the order they came, and nobody here may block.
#pragma once

#include <functional>

#include "api/attempt_feed.h"
#include "delivery/delivery_side.h"
#include "ingest/endpoint_directory.h"
#include "ingest/fan_out.h"
#include "ingest/operational_events.h"
#include "ingest/outbox_reader.h"
#include "maintenance/backlog_watch.h"
#include "maintenance/batches.h"
#include "maintenance/removed_endpoints.h"
#include "maintenance/retention.h"
#include "maintenance/type_counts.h"

namespace outboxd {

class FactRouter {
 public:
  struct Hearers {
    EndpointDirectory& directory;
    DeliverySide& delivery;
    api::AttemptFeed& attempts;
    OperationalEvents& operational_events;
    // Of the owner of partition 0:
    FanOut& fan_out;
    OutboxReader& outbox;
    RemovedEndpoints& removed_endpoints;
    Retention& retention;
    TypeCounts& type_counts;
    Batches& batches;
    BacklogWatch& backlog;
  };
  FactRouter(const Hearers& hearers, Store& store) : to_(hearers), store_(store) {}

  void route(Facts facts);  // any thread

 private:
  // The table: one line per fact. Delivery hears its facts of a batch together, after everybody else has heard theirs.
  enum : bool { kOthersOnly, kDeliveryToo };
  bool hear(const DeliveryReady&) { return kDeliveryToo; }
  bool hear(const DueOnDisk&) { return kDeliveryToo; }
  bool hear(const DeliveryWithdrawn&) { return kDeliveryToo; }
  bool hear(const OutcomeRecorded& fact) {
    return tell(fact, to_.attempts, to_.operational_events), kDeliveryToo;
  }
  bool hear(const EndpointChanged& fact) {
    if (!to_.directory.hear(fact)) return kOthersOnly;  // a later change was heard before
    return tell(fact, to_.operational_events, to_.removed_endpoints), kDeliveryToo;
  }
  bool hear(const EndpointFailing& fact) { return tell(fact, to_.operational_events), kOthersOnly; }
  bool hear(const EndpointRecovered& fact) { return tell(fact, to_.operational_events), kOthersOnly; }
  bool hear(const BatchChanged& fact) { return tell(fact, to_.operational_events, to_.batches), kOthersOnly; }
  bool hear(const FanOutWaits& fact) { return tell(fact, to_.fan_out), kOthersOnly; }
  bool hear(const OutboxRowsWait& fact) { return tell(fact, to_.outbox), kOthersOnly; }
  bool hear(const DueTimesMoved& fact) { return tell(fact, to_.retention), kDeliveryToo; }
  bool hear(const PartitionsOwned& fact);
  bool hear(const PartitionsLost& fact);

  template <class Fact, class... Hearer>
  void tell(const Fact& fact, Hearer&... hearers) {
    (hearers.hear(fact), ...);
  }

  Hearers to_;
  Store& store_;
};

}  // namespace outboxd
