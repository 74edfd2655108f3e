// What must be in the store of a simulated world, according to its commits: deliveries, endpoints, unfinished fan-outs.
// Each commit is checked against those before it, and now and then everything is compared with the tables.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/store.h"

namespace outboxd::simulation {

// The commit that made something what it is now.
struct Commit {
  std::int64_t number = 0;
  int daemon = 0;
};

struct DeliveryEntry {
  DeliveryState state = DeliveryState::kPending;
  Commit since;                             // when it became pending, or stopped being so
  std::optional<std::string> sequence_key;  // while it is pending
  std::optional<Time> deliver_at;
  Time finished_at{};
  std::int64_t after_batch = 0;  // how many batches there were when it came into its state; -1: not known
};

struct EndpointEntry {
  EndpointPtr now;  // null: removed
  Commit since;
  // The endpoint at each version since the store was opened; null: removed.
  std::vector<std::pair<DirectoryVersion, EndpointPtr>> versions;
};

class Ledger {
 public:
  // A row of table delivery, as read for a comparison.
  struct DeliveryRow {
    DeliveryKey key;
    DeliveryState state = DeliveryState::kPending;
    std::optional<std::string> sequence_key;
    std::optional<EventId> event;  // absent: the event's row is missing
  };
  struct FanOutEntry {
    EndpointSeq after = 0, last = 0;
    bool operator==(const FanOutEntry&) const = default;
  };
  struct Tables {
    std::map<EventId, EventSeq> events;
    std::vector<DeliveryRow> deliveries;
    std::map<EventSeq, FanOutEntry> fan_outs;
    Endpoints endpoints;
    std::set<EventSeq> erased, with_payload;
    std::int64_t types_counted = 0;    // events, by counter.types_counted: their numbers have no gaps
    std::int64_t events_of_types = 0;  // the sum over table event_type
  };
  using Fail = std::function<void(const std::string&)>;
  explicit Ledger(Fail fail) : fail_(std::move(fail)) {}

  void committed(const Commit& commit, const Batch& batch, const Applied& applied);
  void uncertain(const Batch& batch);
  void opened(const Endpoints& endpoints);  // after this the store counts its versions anew
  void compare(const Tables& tables);

  const DeliveryEntry* find(DeliveryKey key) const;
  // Until the next comparison nobody knows which state it is in.
  bool is_uncertain(DeliveryKey key) const;
  const EndpointEntry* find_endpoint(EndpointSeq endpoint) const;
  const EndpointEntry* find_endpoint_by_url(const std::string& url) const;
  std::optional<EventSeq> event(const EventId& id) const;
  const Event* event_of(EventSeq seq) const;
  // A delivery that must be made before this one, considering only commits for which `is_known` is true.
  std::optional<DeliveryKey> predecessor(DeliveryKey key,
                                         const std::function<bool(const Commit&)>& is_known) const;
  // What is not finished yet, in words; empty: nothing.
  std::string unfinished() const;
  const std::map<EndpointSeq, EndpointEntry>& endpoints() const { return endpoints_; }
  std::vector<DeliveryKey> deliveries_of(EventSeq event) const;
  std::vector<DeliveryKey> all_deliveries() const;
  std::vector<DeliveryKey> pending_deliveries() const;
  bool has_fan_outs() const { return !fan_outs_.empty(); }
  std::size_t pending() const;
  std::vector<BatchId> running_batches() const;
  std::int64_t count(DeliveryState state) const { return counts_.at(static_cast<std::size_t>(state)); }

 private:
  using Place = std::pair<EndpointSeq, EventSeq>;
  static Place place_of(DeliveryKey key) { return {key.endpoint, key.event}; }

  // Apply one command that was not refused.
  void apply(const AcceptEvents& command, const AnyAnswer& answer);
  void apply(const AnnounceEvent& command, const AnyAnswer& answer);
  void apply(const ExpandEvent& command, const AnyAnswer& answer);
  void apply(const RecordOutcome& command, const AnyAnswer& answer);
  void apply(const CreateEndpoint& command, const AnyAnswer& answer);
  void apply(const UpdateEndpoint& command, const AnyAnswer& answer);
  void apply(const SetEndpointState& command, const AnyAnswer& answer);
  void apply(const DisableEndpoint& command, const AnyAnswer& answer);
  void apply(const RemoveEndpoint& command, const AnyAnswer& answer);
  void apply(const ChangeDelivery& command, const AnyAnswer& answer);
  void apply(const ReplayEvent& command, const AnyAnswer& answer);
  void apply(const ErasePayload& command, const AnyAnswer& answer);
  void apply(const Prune& command, const AnyAnswer& answer);
  void apply(const PrunePayloads& command, const AnyAnswer& answer);
  // core_ledger_batches.cpp
  void apply(const CreateBatch& command, const AnyAnswer& answer);
  void apply(const StepBatch& command, const AnyAnswer& answer);
  void apply(const CancelBatch& command, const AnyAnswer& answer);
  template <class Other>
  void apply(const Other&, const AnyAnswer&) {}

  // Check that what was refused is not in the store.
  void refused(const AcceptEvents& command) const;
  void refused(const AnnounceEvent& command) const;
  void refused(const CreateEndpoint& command) const;
  void refused(const UpdateEndpoint& command) const;
  template <class Other>
  void refused(const Other&) const {}

  void add(const NewEvent& event, const AcceptedEvent& accepted, DirectoryVersion matched);
  void add(const Event& event, const std::vector<FirstAttempt>& endpoints);
  void check_matches(const Event& event, const std::vector<FirstAttempt>& endpoints, EndpointSeq after,
                     std::optional<EndpointSeq> up_to, DirectoryVersion matched) const;
  void endpoint_changed(const EndpointPtr& answer);
  void remember(const EndpointChanged& fact);
  void finish(DeliveryEntry& entry, DeliveryState state, Time at);
  // What a batch must do to a delivery, by what was committed before it was made and since.
  enum class Act { kYes, kNo, kUnknown };
  Act must_act(const OperatorBatch& batch, DeliveryKey key) const;
  void act(const OperatorBatch& batch, DeliveryKey key, Time at);
  bool matches(const DeliveryFilter& filter, DeliveryKey key) const;
  void check_finished(const OperatorBatch& batch) const;
  void make_pending(DeliveryKey key);
  void adopt(const std::map<EventId, EventSeq>& events);
  void adopt(const DeliveryRow& row);
  void check_row(const DeliveryRow& row);
  bool may_be_gone(DeliveryKey key, const DeliveryEntry& entry) const;
  void compare_endpoints(const Endpoints& endpoints) const;
  void compare_payloads(const Tables& tables);
  bool may_be_pruned(EventSeq event) const;  // its payload
  void require(bool holds, const std::string& what) const {
    if (!holds) fail_(what);
  }

  const Fail fail_;
  std::map<Place, DeliveryEntry> deliveries_;
  std::map<EventId, EventSeq> ids_;  // of all events that were ever accepted
  std::map<EventSeq, Event> events_;
  std::set<EventSeq> erased_;           // whose payload is gone
  Time payloads_before_ = Time::min();  // PrunePayloads may have erased those of older events
  std::map<EndpointSeq, EndpointEntry> endpoints_;
  std::map<EventSeq, FanOutEntry> fan_outs_;
  Time delivered_before_ = Time::min(), dead_before_ = Time::min();  // a Prune may have deleted older ones
  std::map<BatchId, OperatorBatchPtr> batches_;
  std::int64_t batches_made_ = 0;
  bool batches_uncertain_ = false;        // one more may have been made
  std::array<std::int64_t, 4> counts_{};  // how many deliveries reached each state

  // About the commit that is being applied.
  Commit commit_;
  bool repeat_ = false;
  std::vector<EndpointChanged> changes_;
  std::map<EventSeq, EndpointSeq> last_of_;

  // About batches of which nobody knows whether they were committed.
  struct Uncertain {
    std::map<EventId, std::shared_ptr<const Event>> events;
    std::set<DeliveryKey> deliveries;
    std::set<EndpointId> endpoints;
    bool any = false;
  };
  Uncertain uncertain_;
};

}  // namespace outboxd::simulation
