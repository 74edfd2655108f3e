// Accepting events: fan out to the endpoints that match, commit, then hand the fresh deliveries on. What HTTP
// and SQL producers share. Thread safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "ingest/endpoint_directory.h"
#include "ingest/event_parser.h"
#include "store/group_commit.h"
#include "telemetry/metrics.h"

namespace outboxd {

class Ingest {
 public:
  struct Options {
    EventLimits limits;
    Millis idempotency_window = std::chrono::hours(24);
    Millis first_wait{0};  // before the first attempt, of endpoints without a schedule of their own
  };
  // Where fresh deliveries go after their commit; called on the writer thread.
  using OnAccepted = std::function<void(std::vector<DueDelivery>)>;

  Ingest(GroupCommit& commits, const EndpointDirectory& directory, const Clock& clock, UuidGenerator& ids,
         telemetry::Metrics& metrics, Options options, OnAccepted on_accepted);

  const Options& options() const { return options_; }

  // All or none. `done` runs on the writer thread after the commit: one AcceptedEvent for each draft, in
  // order.
  using Done = std::function<void(Result<std::vector<AcceptedEvent>>)>;
  void accept(std::vector<EventDraft> drafts, Done done);

  // While the disk is short of space nothing is accepted: 503 over HTTP, and SQL rows wait in the outbox.
  void hold_back(bool disk_is_short) { disk_is_short_ = disk_is_short; }

  // Judges rows of the SQL outbox: each becomes an event, or a rejected row with its reason. `done` runs when
  // the last is committed.
  void adopt(std::vector<OutboxRow> rows, std::function<void()> done);

 private:
  NewEvent prepare(EventDraft draft) const;
  void commit(std::vector<NewEvent> events, std::string_view source, Done done);

  GroupCommit& commits_;
  const EndpointDirectory& directory_;
  const Clock& clock_;
  UuidGenerator& ids_;
  telemetry::Metrics& metrics_;
  Options options_;
  OnAccepted on_accepted_;
  std::atomic<bool> disk_is_short_{false};
};

}  // namespace outboxd
