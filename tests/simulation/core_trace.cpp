#include "simulation/core_trace.h"

namespace outboxd::simulation {
namespace {

std::string name(EndpointSeq endpoint) {
  return "endpoint " + std::to_string(endpoint);
}

std::string names(const std::vector<FirstAttempt>& endpoints) {
  std::string all;
  for (const FirstAttempt& first : endpoints) all += " " + std::to_string(first.endpoint);
  return " to" + all;
}

std::string stale(bool is) {
  return is ? " (stale)" : "";
}

std::string event(const NewEvent& e) {
  return " event " + std::to_string(e.event->seq) + names(e.endpoints) +
         (e.more_after ? " more after " + std::to_string(*e.more_after) : "");
}

struct Describe {
  const AnyAnswer* answer;

  std::string operator()(const AcceptEvents& c) const {
    std::string text = "accept at version " + std::to_string(c.matched);
    for (const NewEvent& e : c.events) text += event(e);
    return text + stale(answer != nullptr && std::get<Accepted>(*answer).stale);
  }
  std::string operator()(const AnnounceEvent& c) const { return "announce" + event(*c.event); }
  std::string operator()(const ExpandEvent& c) const {
    return "expand event " + std::to_string(c.event->seq) + names(c.endpoints) + " at version " +
           std::to_string(c.matched) +
           (c.more_after ? " more after " + std::to_string(*c.more_after) : " the last") +
           stale(answer != nullptr && std::get<Expanded>(*answer).stale);
  }
  std::string operator()(const RejectOutboxRow& c) const { return "reject row " + std::to_string(c.row); }
  std::string operator()(const RecordOutcome& c) const {
    const bool moved = answer != nullptr && std::get<Recorded>(*answer).moved;
    return "record " + describe(c.key) + " " + std::string(to_string(c.state)) +
           (c.attempt ? "" : " without an attempt") + (moved ? "" : " (not moved)");
  }
  std::string operator()(const SetFailingSince& c) const { return "failing since, " + name(c.endpoint); }
  std::string operator()(const CreateEndpoint&) const { return "create " + its_name(); }
  std::string operator()(const UpdateEndpoint&) const { return "update " + its_name(); }
  std::string operator()(const SetEndpointState& c) const {
    return "set " + its_name() + " " + std::string(to_string(c.state));
  }
  std::string operator()(const DisableEndpoint&) const { return "disable " + its_name(); }
  std::string operator()(const RemoveEndpoint&) const { return "remove " + its_name(); }
  std::string operator()(const DiscardRemoved&) const { return "discard removed"; }
  std::string operator()(const ChangeDelivery& c) const {
    return "change " + describe(c.key) + " to " + std::string(to_string(c.state));
  }
  std::string operator()(const ReplayEvent& c) const {
    std::string text = "replay to";
    for (const EndpointSeq endpoint : c.endpoints) text += " " + std::to_string(endpoint);
    return text;
  }
  std::string operator()(const CreateBatch& c) const {
    return "make a batch: " + std::string(to_string(c.batch->action)) + " " + encode_filter(c.batch->filter);
  }
  std::string operator()(const StepBatch& c) const {
    std::string text = "step of a batch from \"" + c.step->from + "\":";
    for (const DeliveryKey key : c.step->keys) text += " " + describe(key);
    return text + (c.step->last ? ", the last" : "");
  }
  std::string operator()(const CancelBatch&) const { return "cancel a batch"; }
  std::string operator()(const ErasePayload& c) const {
    return "erase the payload of " + c.id.to_string() + ", after endpoint " + std::to_string(c.after);
  }
  std::string operator()(const PrunePayloads& c) const {
    return "prune payloads after event " + std::to_string(c.after);
  }
  std::string operator()(const CountTypes&) const { return "count types"; }
  std::string operator()(const ResolveOutboxRow& c) const { return "resolve row " + std::to_string(c.row); }
  std::string operator()(const Prune&) const { return "prune"; }
  std::string operator()(const RunStoreTask&) const { return "run a task"; }

  std::string its_name() const {
    return answer != nullptr ? name(std::get<EndpointPtr>(*answer)->seq) : "an endpoint";
  }
};

struct DescribeFact {
  std::string operator()(const DeliveryReady& f) const { return "ready " + describe(f.delivery.key); }
  std::string operator()(const DueOnDisk& f) const {
    return "due " + name(f.endpoint) + " in " + std::to_string(f.due_in.count());
  }
  std::string operator()(const DeliveryWithdrawn& f) const { return "withdrawn " + describe(f.key); }
  std::string operator()(const OutcomeRecorded& f) const {
    return "recorded " + describe(f.key) + " " + std::string(to_string(f.now.state)) +
           (f.due_in ? " due in " + std::to_string(f.due_in->count()) : "") + (f.promoted ? " promoted" : "");
  }
  std::string operator()(const EndpointChanged& f) const {
    return (f.now ? "changed " : "removed ") + name(f.endpoint) + " version " + std::to_string(f.version);
  }
  std::string operator()(const EndpointFailing& f) const { return "failing " + name(f.endpoint); }
  std::string operator()(const EndpointRecovered& f) const { return "recovered " + name(f.endpoint); }
  std::string operator()(const BatchChanged& f) const {
    return f.now ? "a batch is " + std::string(to_string(f.now->state)) : "a batch";
  }
  std::string operator()(const FanOutWaits& f) const {
    return f.fan_out ? "fan-out of " + std::to_string(f.fan_out->event->seq) : "a fan-out";
  }
  std::string operator()(const OutboxRowsWait&) const { return "rows wait"; }
  std::string operator()(const DueTimesMoved&) const { return "due times moved"; }
  std::string operator()(const PartitionsOwned& f) const { return "owned " + partitions(f.partitions); }
  std::string operator()(const PartitionsLost& f) const {
    return "lost " + partitions(f.partitions) + (f.abort ? " (abort)" : "");
  }

  static std::string partitions(const PartitionSet& set) {
    std::string text;
    for (std::size_t p = 0; p < 24; ++p) {
      if (set.test(p)) text += " " + std::to_string(p);
    }
    return text;
  }
};

}  // namespace

std::string describe(DeliveryKey key) {
  return std::to_string(key.event) + "/" + std::to_string(key.endpoint);
}

std::string describe(const Command& command, const Result<AnyAnswer>& answer) {
  return std::visit(Describe{answer ? &*answer : nullptr}, command) +
         (answer ? "" : " (refused: " + answer.error().detail + ")");
}

std::string describe(const Facts& facts) {
  std::string text;
  for (const Fact& fact : facts) text += (text.empty() ? "" : "; ") + std::visit(DescribeFact{}, fact);
  return text;
}

}  // namespace outboxd::simulation
