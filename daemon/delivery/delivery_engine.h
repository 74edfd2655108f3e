// Carries out the scheduler's decisions on an executor: sends the requests, has the outcomes committed, and reports the
// results of both back to the scheduler. It learns of the world only from facts (store/facts.h) and from the results of
// its own requests.
//
//   facts ─────────────────────────▶ ┌───────────┐ ─send──▶ Sender ─result─┐
//                                    │ scheduler │                         │
//   BacklogReader ◀────fetch──────── └───────────┘ ◀───────────────────────┤
//        └───────────fetched──────────────▲                                ▼
//                                         └────────facts◀── GroupCommit ◀──outcome
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "common/executor.h"
#include "common/partition.h"
#include "delivery/backlog_reader.h"
#include "delivery/delivery_side.h"
#include "delivery/inbox.h"
#include "delivery/request_builder.h"
#include "delivery/scheduler.h"
#include "outbound/sender.h"
#include "store/group_commit.h"
#include "telemetry/metrics.h"

namespace outboxd {

// When the certificates expire that endpoints showed in TLS handshakes since the start.
using CertificateExpiries = std::unordered_map<EndpointSeq, Time>;

struct EngineStatus {
  int in_flight = 0;
  std::vector<LaneStatus> lanes;  // in no order; see Scheduler::lanes
  CertificateExpiries certificates;
  PartitionSet owned;  // whose lanes these are
};

class DeliveryEngine final : public DeliverySide {
 public:
  struct Options {
    Scheduler::Options scheduler;
    RequestDefaults request;
    bool store_responses = true;  // store what subscribers answer, beyond the status
    int max_pieces = 1024;        // see Inbox
  };
  // Returns the endpoints of these partitions as they are now. Any thread.
  using EndpointsOf = std::function<std::vector<EndpointPtr>(const PartitionSet&)>;
  struct Parts {
    Executor& executor;          // everything runs on it unless noted otherwise
    Executor& backlog_executor;  // reads the backlog
    Sender& sender;              // runs on `executor`
    Store& store;
    GroupCommit& commits;
    const Clock& clock;
    UuidGenerator& ids;
    telemetry::Metrics& metrics;
    EndpointsOf endpoints_of;
  };
  DeliveryEngine(const Parts& parts, Options options);
  DeliveryEngine(const DeliveryEngine&) = delete;

  // Any thread.
  void hear(Facts facts) override;
  void own(const PartitionSet& partitions, Millis ordered_after) override;
  void disown(const PartitionSet& partitions, bool abort, Disowned done) override;
  void set_policy(std::shared_ptr<const AddressPolicy> policy);
  // Sends one request to the endpoint as it is, whatever its state, ignoring every schedule and limit. Nothing is
  // stored, but a success ends a pause that the endpoint did not ask for. `done` runs on the executor.
  void send_test(EndpointPtr endpoint, std::shared_ptr<const Event> event, std::function<void(Attempt)> done);
  // Would a request to this URL with these TLS files be sent now? Its host name is resolved for that; a name without an
  // address now may get one later. `done` runs on the executor, with kSuccess, kBlocked, kTls, or the outcome that says
  // why it is unknown.
  struct Preflight {
    Outcome outcome;
    std::string error;   // for whoever asked
    std::string denial;  // SendResult::denial
  };
  void preflight(EndpointUrl url, EndpointTls tls, std::function<void(Preflight)> done);
  // Of all lanes with anything to tell, or of one endpoint's. `answer` runs on the executor.
  void ask_status(std::optional<EndpointSeq> only, std::function<void(EngineStatus)> answer);
  // Sends nothing new, waits up to `limit` for requests in flight, and aborts the rest (they are due again at the next
  // start). `done` runs when every outcome has been submitted to the group commit.
  void stop(Millis limit, std::function<void()> done);

  // To be called on the executor after each round of its tasks.
  void pump();

 private:
  void apply(Fact& fact, Moment now);
  void apply_outcome(const OutcomeRecorded& fact, Moment now);
  void put_endpoint(const EndpointPtr& endpoint);
  void drop_endpoint(EndpointSeq seq, bool removed);
  void send(Decisions::Send next, Moment now);
  void ended(Inbox::Answer& answer);
  void too_large(const Decisions::Send& unsent);
  template <class Count>
  void with_series(const Endpoint& endpoint, Count count);
  void note_certificate(const Endpoint& sent_to, const SendResult& result);
  void log_transition(const Scheduler::Ended& ended, const Endpoint& endpoint, const SendResult& result);
  void record(const EndpointPtr& endpoint, const DueDelivery& delivery, RecordOutcome outcome);
  void disable(EndpointSeq endpoint, std::string reason);
  void test_answered(const Endpoint& tested);
  BacklogReader::Callbacks backlog_callbacks();
  void set_timer(std::optional<MonotonicTime> when, MonotonicTime now);
  void finish_what_is_over();
  std::string new_span_id();

  Executor& executor_;
  Sender& sender_;
  const Store& store_;
  GroupCommit& commits_;
  const Clock& clock_;
  UuidGenerator& ids_;
  telemetry::Metrics& metrics_;
  const EndpointsOf endpoints_of_;
  const Options options_;
  Scheduler scheduler_;
  Inbox inbox_;
  BacklogReader backlog_;
  PartitionSet owned_;
  std::unordered_map<EndpointSeq, std::shared_ptr<const Target>> targets_;
  CertificateExpiries certificates_;                                   // of endpoints in targets_
  std::unordered_map<EndpointSeq, telemetry::EndpointSeries> series_;  // of these too
  std::optional<Executor::TimerId> timer_;
  MonotonicTime timer_for_{};
  struct Leaving {
    PartitionSet partitions;
    Disowned done;
  };
  std::vector<Leaving> leaving_;
  std::function<void()> stopped_;  // set while stopping
};

}  // namespace outboxd
