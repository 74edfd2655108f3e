#include "simulation/core_ledger.h"

#include <algorithm>

namespace outboxd::simulation {
namespace {

std::string text(DeliveryKey key) {
  return "event " + std::to_string(key.event) + ", endpoint " + std::to_string(key.endpoint);
}

bool has(const std::vector<FirstAttempt>& endpoints, EndpointSeq seq) {
  return std::ranges::any_of(endpoints, [seq](const FirstAttempt& first) { return first.endpoint == seq; });
}

}  // namespace

const DeliveryEntry* Ledger::find(DeliveryKey key) const {
  const auto it = deliveries_.find(place_of(key));
  return it == deliveries_.end() ? nullptr : &it->second;
}

const EndpointEntry* Ledger::find_endpoint(EndpointSeq endpoint) const {
  const auto it = endpoints_.find(endpoint);
  return it == endpoints_.end() ? nullptr : &it->second;
}

// No two endpoints have the same URL.
const EndpointEntry* Ledger::find_endpoint_by_url(const std::string& url) const {
  const auto it = std::ranges::find_if(
      endpoints_, [&](const auto& e) { return e.second.now && e.second.now->url == url; });
  return it == endpoints_.end() ? nullptr : &it->second;
}

std::optional<EventSeq> Ledger::event(const EventId& id) const {
  const auto it = ids_.find(id);
  if (it == ids_.end()) return std::nullopt;
  return it->second;
}

const Event* Ledger::event_of(EventSeq seq) const {
  const auto it = events_.find(seq);
  return it == events_.end() ? nullptr : &it->second;
}

std::optional<DeliveryKey> Ledger::predecessor(DeliveryKey key,
                                               const std::function<bool(const Commit&)>& is_known) const {
  const DeliveryEntry* mine = find(key);
  if (mine == nullptr || !mine->sequence_key) return std::nullopt;
  for (auto it = deliveries_.lower_bound({key.endpoint, 0}); it->first < place_of(key); ++it) {
    const DeliveryEntry& other = it->second;
    const DeliveryKey before{it->first.second, key.endpoint};
    if (other.state == DeliveryState::kPending && other.sequence_key == mine->sequence_key &&
        is_known(other.since) && !is_uncertain(before))
      return before;
  }
  return std::nullopt;
}

std::string Ledger::unfinished() const {
  for (const auto& [place, entry] : deliveries_) {
    if (entry.state == DeliveryState::kPending)
      return "a delivery is pending: " + text({place.second, place.first});
  }
  if (const auto running = running_batches(); !running.empty())
    return "a batch runs: " + running.front().to_string();
  if (!fan_outs_.empty()) return "a fan-out: event " + std::to_string(fan_outs_.begin()->first);
  return "";
}

std::vector<DeliveryKey> Ledger::deliveries_of(EventSeq event) const {
  std::vector<DeliveryKey> found;
  for (const auto& [place, entry] : deliveries_) {
    if (place.second == event) found.push_back({event, place.first});
  }
  return found;
}

std::vector<DeliveryKey> Ledger::all_deliveries() const {
  std::vector<DeliveryKey> found;
  for (const auto& [place, entry] : deliveries_) found.push_back({place.second, place.first});
  return found;
}

std::vector<DeliveryKey> Ledger::pending_deliveries() const {
  std::vector<DeliveryKey> found;
  for (const auto& [place, entry] : deliveries_) {
    if (entry.state == DeliveryState::kPending) found.push_back({place.second, place.first});
  }
  return found;
}

std::size_t Ledger::pending() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      deliveries_, [](const auto& d) { return d.second.state == DeliveryState::kPending; }));
}

void Ledger::committed(const Commit& commit, const Batch& batch, const Applied& applied) {
  commit_ = commit;
  repeat_ = batch.repeat;
  require(applied.answers.size() == batch.commands.size(), "not an answer for each command");
  changes_.clear();
  last_of_.clear();
  for (const Fact& fact : applied.facts) {
    if (const auto* changed = std::get_if<EndpointChanged>(&fact)) changes_.push_back(*changed);
    if (const auto* waits = std::get_if<FanOutWaits>(&fact); waits != nullptr && waits->fan_out)
      last_of_[waits->fan_out->event->seq] = waits->fan_out->last;
  }
  for (std::size_t n = 0; n < batch.commands.size() && n < applied.answers.size(); ++n) {
    const auto& answer = applied.answers[n];
    if (!answer) {
      std::visit([&](const auto& command) { refused(command); }, *batch.commands[n]);
      continue;
    }
    std::visit([&](const auto& command) { apply(command, *answer); }, *batch.commands[n]);
  }
  for (const EndpointChanged& left : changes_) {
    require(repeat_, "an endpoint is said to have changed that nobody changed");
    remember(left);
  }
}

// ---- events

void Ledger::add(const NewEvent& event, const AcceptedEvent& accepted, DirectoryVersion matched) {
  if (accepted.row_deleted) return;
  if (accepted.duplicate) return require(ids_.contains(accepted.id), "a duplicate of an unknown event");
  require(event.event->seq > 0, "an accepted event without a number");
  if (repeat_ && ids_.contains(accepted.id)) return;  // a repeat: it was committed the first time
  require(ids_.emplace(accepted.id, event.event->seq).second, "an event was accepted twice");
  const EndpointSeq seq_after = event.more_after.value_or(0);
  check_matches(*event.event, event.endpoints, 0, event.more_after, matched);
  add(*event.event, event.endpoints);
  if (!event.more_after) return;
  const auto last = last_of_.find(event.event->seq);
  require(last != last_of_.end() || repeat_, "nobody is told of a fan-out");
  fan_outs_[event.event->seq] = {seq_after, last == last_of_.end() ? 0 : last->second};
}

void Ledger::add(const Event& event, const std::vector<FirstAttempt>& endpoints) {
  events_.emplace(event.seq, event);
  for (const FirstAttempt& first : endpoints) {
    const auto endpoint = endpoints_.find(first.endpoint);
    require(endpoint != endpoints_.end() && endpoint->second.now,
            "stored for a removed endpoint: " + text({event.seq, first.endpoint}));
    deliveries_.try_emplace({first.endpoint, event.seq},
                            DeliveryEntry{.state = DeliveryState::kPending,
                                          .since = commit_,
                                          .sequence_key = sequence_key_of(first.ordering, event.ordering_key),
                                          .deliver_at = event.deliver_at,
                                          .finished_at = {},
                                          .after_batch = batches_uncertain_ ? -1 : batches_made_});
  }
}

// An endpoint that has not changed since the event was matched must be among those given exactly if it wants the event;
// of endpoints that have changed nothing can be said.
void Ledger::check_matches(const Event& event, const std::vector<FirstAttempt>& endpoints, EndpointSeq after,
                           std::optional<EndpointSeq> up_to, DirectoryVersion matched) const {
  for (const auto& [seq, entry] : endpoints_) {
    if (seq <= after || (up_to && seq > *up_to)) continue;
    if (entry.versions.empty() || entry.versions.back().first > matched) continue;
    const bool wanted = entry.now && wants(*entry.now, event.tenant, event.type);
    if (wanted == has(endpoints, seq)) continue;
    fail_((wanted ? "an endpoint is left out: event " : "an endpoint does not want it: event ") +
          std::to_string(event.seq) + ", endpoint " + std::to_string(seq));
  }
}

void Ledger::apply(const AcceptEvents& command, const AnyAnswer& answer) {
  const auto& accepted = std::get<Accepted>(answer);
  if (accepted.stale) return;
  require(accepted.events.size() == command.events.size(), "not an answer for each event");
  for (std::size_t n = 0; n < accepted.events.size(); ++n)
    add(command.events[n], accepted.events[n], command.matched);
}

void Ledger::apply(const AnnounceEvent& command, const AnyAnswer& answer) {
  const auto& accepted = std::get<Accepted>(answer);
  if (!accepted.stale) add(*command.event, accepted.events.at(0), command.matched);
}

void Ledger::apply(const ExpandEvent& command, const AnyAnswer& answer) {
  if (std::get<Expanded>(answer).stale) return;
  const auto fan_out = fan_outs_.find(command.event->seq);
  if (fan_out == fan_outs_.end()) return;  // already finished, so no effect
  if (command.more_after && *command.more_after <= fan_out->second.after) return;  // or this step was made
  const EndpointSeq up_to = command.more_after.value_or(fan_out->second.last);
  if (!command.endpoints.empty() && command.endpoints.front().endpoint > fan_out->second.after)
    check_matches(*command.event, command.endpoints, fan_out->second.after, up_to, command.matched);
  add(*command.event, command.endpoints);
  if (command.more_after) {
    fan_out->second.after = *command.more_after;
  } else {
    fan_outs_.erase(fan_out);
  }
}

// ---- what is refused

void Ledger::refused(const AcceptEvents& command) const {
  for (const NewEvent& event : command.events)
    require(!ids_.contains(event.event->id), "an event is refused that is stored");
}

void Ledger::refused(const AnnounceEvent& command) const {
  require(!ids_.contains(command.event->event->id), "an operational event is refused that is stored");
}

void Ledger::refused(const CreateEndpoint& command) const {
  const EndpointEntry* known = find_endpoint_by_url(command.endpoint->url);
  require(known == nullptr, "an endpoint is refused that was made");
}

void Ledger::refused(const UpdateEndpoint& command) const {
  const EndpointEntry* known = find_endpoint_by_url(command.endpoint->url);
  require(known == nullptr || known->now->name != command.endpoint->name,
          "a change of an endpoint is refused that was made");
}

// ---- deliveries

void Ledger::finish(DeliveryEntry& entry, DeliveryState state, Time at) {
  entry.state = state;
  entry.since = commit_;
  entry.sequence_key.reset();
  entry.finished_at = at;
  entry.after_batch = batches_uncertain_ ? -1 : batches_made_;
  ++counts_.at(static_cast<std::size_t>(state));
}

void Ledger::apply(const RecordOutcome& command, const AnyAnswer& answer) {
  const auto& recorded = std::get<Recorded>(answer);
  const auto it = deliveries_.find(place_of(command.key));
  if (it == deliveries_.end()) return require(!recorded.moved, "an outcome moved what is not there");
  DeliveryEntry& entry = it->second;
  if (repeat_ && entry.state == recorded.state) return;
  const bool unknown = is_uncertain(command.key);
  if (!recorded.moved) {
    const EndpointEntry* endpoint = find_endpoint(command.key.endpoint);
    const bool swept = endpoint == nullptr || !endpoint->now;
    return require(swept || unknown || recorded.state == entry.state,
                   "an outcome is answered with another state: " + text(command.key));
  }
  require(unknown || entry.state == DeliveryState::kPending,
          "an outcome moved what had ended: " + text(command.key));
  require(recorded.state == command.state, "an outcome moved it elsewhere");
  if (recorded.state != DeliveryState::kPending) finish(entry, recorded.state, command.at);
}

// For an operator's command: the order is by the endpoint's ordering as it is now.
void Ledger::make_pending(DeliveryKey key) {
  const Event* event = event_of(key.event);
  const EndpointEntry* endpoint = find_endpoint(key.endpoint);
  if (event == nullptr || endpoint == nullptr || !endpoint->now)
    return fail_("a delivery is pending again without event or endpoint: " + text(key));
  deliveries_[place_of(key)] = {.state = DeliveryState::kPending,
                                .since = commit_,
                                .sequence_key = sequence_key_of(endpoint->now->ordering, event->ordering_key),
                                .deliver_at = event->deliver_at,
                                .finished_at = {},
                                .after_batch = batches_uncertain_ ? -1 : batches_made_};
}

void Ledger::apply(const ChangeDelivery& command, const AnyAnswer& answer) {
  const auto it = deliveries_.find(place_of(command.key));
  if (it == deliveries_.end()) return fail_("an unknown delivery was changed: " + text(command.key));
  if (repeat_ && it->second.state == command.state) return;
  require(std::get<Delivery>(answer).state == command.state, "a change of a delivery had no effect");
  if (command.state == DeliveryState::kPending) {
    require(!erased_.contains(command.key.event), "an erased event is retried");
    return make_pending(command.key);
  }
  finish(it->second, command.state, command.at);
}

void Ledger::apply(const ReplayEvent& command, const AnyAnswer&) {
  const auto seq = event(command.id);
  if (!seq) return fail_("an unknown event was replayed");
  require(!erased_.contains(*seq), "an erased event is replayed");
  for (const EndpointSeq endpoint : command.endpoints) make_pending({*seq, endpoint});
}

// A step discards what is pending of the event, up to the endpoint where the next one goes on. That the endpoint was
// swept before, or what an uncertain commit did, cannot be told.
void Ledger::apply(const ErasePayload& command, const AnyAnswer& answer) {
  const auto seq = event(command.id);
  if (!seq) return fail_("an unknown event was erased");
  const auto& step = std::get<Erased>(answer);
  erased_.insert(*seq);
  fan_outs_.erase(*seq);
  std::int64_t surely = 0, perhaps = 0;
  for (const DeliveryKey key : deliveries_of(*seq)) {
    if (key.endpoint <= command.after || (step.next && key.endpoint > *step.next)) continue;
    DeliveryEntry& entry = deliveries_.at(place_of(key));
    const bool unknown = may_be_gone(key, entry);
    if (entry.state != DeliveryState::kPending && !unknown) continue;
    ++(unknown ? perhaps : surely);
    if (entry.state == DeliveryState::kPending) finish(entry, DeliveryState::kDiscarded, command.at);
  }
  require(step.discarded >= surely, "an erasure leaves something to be sent");
  require(step.discarded <= surely + perhaps || uncertain_.events.contains(command.id),
          "an erasure discards what had ended");
}

void Ledger::apply(const Prune& command, const AnyAnswer&) {
  delivered_before_ = std::max(delivered_before_, command.delivered_before);
  dead_before_ = std::max(dead_before_, command.dead_before);
}

void Ledger::apply(const PrunePayloads& command, const AnyAnswer&) {
  payloads_before_ = std::max(payloads_before_, command.before);
}

// ---- endpoints

void Ledger::remember(const EndpointChanged& fact) {
  EndpointEntry& entry = endpoints_[fact.endpoint];
  const bool is_new = entry.versions.empty();
  require(is_new || entry.now || !fact.now || repeat_, "a removed endpoint is back");
  require(is_new || fact.version > entry.versions.back().first || repeat_, "a version came twice");
  entry.now = fact.now;
  entry.since = commit_;
  entry.versions.emplace_back(fact.version, fact.now);
}

// Takes the first of the commit's facts that is about this endpoint.
void Ledger::endpoint_changed(const EndpointPtr& answer) {
  const auto fact = std::ranges::find(changes_, answer->seq, &EndpointChanged::endpoint);
  if (fact == changes_.end()) return require(repeat_, "nobody is told of a change of an endpoint");
  const EndpointChanged changed = *fact;
  changes_.erase(fact);
  remember(changed);
}

void Ledger::apply(const CreateEndpoint&, const AnyAnswer& answer) {
  endpoint_changed(std::get<EndpointPtr>(answer));
}
void Ledger::apply(const UpdateEndpoint&, const AnyAnswer& answer) {
  endpoint_changed(std::get<EndpointPtr>(answer));
}
void Ledger::apply(const SetEndpointState&, const AnyAnswer& answer) {
  endpoint_changed(std::get<EndpointPtr>(answer));
}
void Ledger::apply(const DisableEndpoint&, const AnyAnswer& answer) {
  endpoint_changed(std::get<EndpointPtr>(answer));
}
void Ledger::apply(const RemoveEndpoint&, const AnyAnswer& answer) {
  endpoint_changed(std::get<EndpointPtr>(answer));
}

}  // namespace outboxd::simulation
