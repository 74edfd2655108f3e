#include <algorithm>

#include "simulation/core_ledger.h"

namespace outboxd::simulation {
namespace {

std::string text(DeliveryKey key) {
  return "event " + std::to_string(key.event) + ", endpoint " + std::to_string(key.endpoint);
}

}  // namespace

// Notes what a batch touches that was perhaps committed: there the next comparison takes the tables as the truth.
void Ledger::uncertain(const Batch& batch) {
  uncertain_.any = true;
  for (const Command* command : batch.commands) {
    if (const auto* accept = std::get_if<AcceptEvents>(command)) {
      for (const NewEvent& event : accept->events) uncertain_.events.emplace(event.event->id, event.event);
    } else if (const auto* announce = std::get_if<AnnounceEvent>(command)) {
      uncertain_.events.emplace(announce->event->event->id, announce->event->event);
    } else if (const auto* expand = std::get_if<ExpandEvent>(command)) {
      uncertain_.events.emplace(expand->event->id, expand->event);
    } else if (const auto* replay = std::get_if<ReplayEvent>(command)) {
      uncertain_.events.emplace(replay->id, nullptr);
    } else if (const auto* erase = std::get_if<ErasePayload>(command)) {
      uncertain_.events.emplace(erase->id, nullptr);
    } else if (const auto* outcome = std::get_if<RecordOutcome>(command)) {
      uncertain_.deliveries.insert(outcome->key);
    } else if (const auto* change = std::get_if<ChangeDelivery>(command)) {
      uncertain_.deliveries.insert(change->key);
    } else if (std::holds_alternative<CreateBatch>(*command)) {
      batches_uncertain_ = true;
    } else if (const auto* step = std::get_if<StepBatch>(command)) {
      batches_.erase(step->id);  // its next step tells where it is
      for (const DeliveryKey key : step->step->keys) uncertain_.deliveries.insert(key);
    } else if (const auto* cancel = std::get_if<CancelBatch>(command)) {
      batches_.erase(cancel->id);
    } else if (const auto* create = std::get_if<CreateEndpoint>(command)) {
      uncertain_.endpoints.insert(create->endpoint->id);
    } else if (const auto* update = std::get_if<UpdateEndpoint>(command)) {
      uncertain_.endpoints.insert(update->endpoint->id);
    } else if (const auto* state = std::get_if<SetEndpointState>(command)) {
      uncertain_.endpoints.insert(state->id);
    } else if (const auto* disable = std::get_if<DisableEndpoint>(command)) {
      uncertain_.endpoints.insert(disable->id);
    } else if (const auto* remove = std::get_if<RemoveEndpoint>(command)) {
      uncertain_.endpoints.insert(remove->id);
    } else if (const auto* prune = std::get_if<Prune>(command)) {
      delivered_before_ = std::max(delivered_before_, prune->delivered_before);
      dead_before_ = std::max(dead_before_, prune->dead_before);
    } else if (const auto* payloads = std::get_if<PrunePayloads>(command)) {
      payloads_before_ = std::max(payloads_before_, payloads->before);
    }
  }
}

void Ledger::opened(const Endpoints& endpoints) {
  std::map<EndpointSeq, EndpointPtr> found;
  for (const Endpoint& endpoint : endpoints.endpoints)
    found[endpoint.seq] = std::make_shared<const Endpoint>(endpoint);
  for (const auto& [seq, now] : found) {
    const auto known = endpoints_.find(seq);
    require(known != endpoints_.end() || uncertain_.endpoints.contains(now->id),
            "an endpoint that nobody made: " + std::to_string(seq));
  }
  for (auto& [seq, entry] : endpoints_) {
    const auto now = found.find(seq);
    if (entry.now) {
      const bool same = now != found.end() && now->second->updated_at == entry.now->updated_at &&
                        now->second->state == entry.now->state && now->second->url == entry.now->url;
      require(same || uncertain_.endpoints.contains(entry.now->id),
              "an endpoint is not as it was committed: " + std::to_string(seq));
    } else {
      require(now == found.end(), "a removed endpoint is back: " + std::to_string(seq));
    }
    if (now == found.end()) entry.now.reset();
    entry.versions = {{endpoints.version, entry.now}};
  }
  for (const auto& [seq, now] : found) {
    EndpointEntry& entry = endpoints_[seq];
    entry.now = now;
    entry.versions = {{endpoints.version, now}};
  }
}

// Also those that have no delivery yet, because a fan-out has still to begin.
void Ledger::adopt(const std::map<EventId, EventSeq>& events) {
  for (const auto& [id, made] : uncertain_.events) {
    const auto stored = events.find(id);
    if (!made || stored == events.end()) continue;
    ids_.emplace(id, stored->second);
    events_.try_emplace(stored->second, *made).first->second.seq = stored->second;
  }
}

void Ledger::adopt(const DeliveryRow& row) {
  DeliveryEntry& entry = deliveries_[place_of(row.key)];
  if (row.state != DeliveryState::kPending) {
    if (entry.state != row.state) finish(entry, row.state, entry.finished_at);
    entry.after_batch = -1;
    return;
  }
  entry.state = row.state;
  entry.after_batch = -1;
  entry.since = commit_;
  entry.sequence_key = row.sequence_key;
  if (const Event* event = event_of(row.key.event)) entry.deliver_at = event->deliver_at;
}

bool Ledger::is_uncertain(DeliveryKey key) const {
  if (uncertain_.deliveries.contains(key)) return true;
  const Event* event = event_of(key.event);
  return event != nullptr && uncertain_.events.contains(event->id);
}

void Ledger::check_row(const DeliveryRow& row) {
  if (!row.event) return fail_("a delivery without its event: " + text(row.key));
  const auto it = deliveries_.find(place_of(row.key));
  if (is_uncertain(row.key) || uncertain_.events.contains(*row.event)) return adopt(row);
  if (it == deliveries_.end()) return fail_("a delivery that nobody made: " + text(row.key));
  DeliveryEntry& entry = it->second;
  const EndpointEntry* endpoint = find_endpoint(row.key.endpoint);
  const bool swept = row.state == DeliveryState::kDiscarded && entry.state == DeliveryState::kPending &&
                     (endpoint == nullptr || !endpoint->now);
  if (swept) {
    finish(entry, row.state, Time::min());
    if (endpoint != nullptr) entry.since = endpoint->since;  // a sweep is not told of, the removal was
    return;
  }
  require(entry.state == row.state, "a delivery is in another state than was committed: " + text(row.key) +
                                        ", " + std::string(to_string(row.state)) + " for " +
                                        std::string(to_string(entry.state)));
  require(row.state != DeliveryState::kPending || entry.sequence_key == row.sequence_key,
          "a delivery is in another order than was committed: " + text(row.key));
}

bool Ledger::may_be_gone(DeliveryKey key, const DeliveryEntry& entry) const {
  const EndpointEntry* endpoint = find_endpoint(key.endpoint);
  if (endpoint == nullptr || !endpoint->now) return true;
  if (uncertain_.deliveries.contains(key)) return true;
  const Event* event = event_of(key.event);
  if (event == nullptr || uncertain_.events.contains(event->id)) return true;
  if (entry.state == DeliveryState::kPending) return false;
  return entry.finished_at <= (entry.state == DeliveryState::kDead ? dead_before_ : delivered_before_);
}

void Ledger::compare(const Tables& tables) {
  adopt(tables.events);
  std::set<Place> seen;
  for (const DeliveryRow& row : tables.deliveries) {
    seen.insert(place_of(row.key));
    check_row(row);
  }
  std::erase_if(deliveries_, [&](const auto& d) {
    if (seen.contains(d.first)) return false;
    const DeliveryKey key{d.first.second, d.first.first};
    require(may_be_gone(key, d.second), "a delivery is lost: " + text(key));
    return true;
  });
  require(fan_outs_ == tables.fan_outs || uncertain_.any, "a fan-out is not as it was committed");
  fan_outs_ = tables.fan_outs;
  compare_endpoints(tables.endpoints);
  compare_payloads(tables);
  require(tables.events_of_types == tables.types_counted, "an event is counted twice by its type, or never");
  uncertain_ = {};
}

bool Ledger::may_be_pruned(EventSeq event) const {
  const Event* known = event_of(event);
  return known != nullptr && known->id.uuid.time() < payloads_before_;
}

// Retention takes the payload only of what has ended, and nothing brings it back to life.
void Ledger::compare_payloads(const Tables& tables) {
  std::set<EventSeq> pending;
  for (const auto& [place, entry] : deliveries_) {
    if (entry.state == DeliveryState::kPending) pending.insert(place.second);
  }
  for (const EventSeq seq : tables.erased) {
    const Event* event = event_of(seq);
    const bool pruned = may_be_pruned(seq) && !pending.contains(seq) && !fan_outs_.contains(seq);
    require(erased_.contains(seq) || pruned || (event != nullptr && uncertain_.events.contains(event->id)),
            "a payload is gone that nobody erased: event " + std::to_string(seq));
  }
  for (const EventSeq seq : erased_)
    require(!tables.with_payload.contains(seq), "an erased payload is there: event " + std::to_string(seq));
  erased_ = tables.erased;
}

void Ledger::compare_endpoints(const Endpoints& endpoints) const {
  std::size_t alive = 0;
  for (const auto& [seq, entry] : endpoints_) alive += entry.now != nullptr;
  require(alive == endpoints.endpoints.size(), "there are other endpoints than were committed");
  for (const Endpoint& endpoint : endpoints.endpoints) {
    const EndpointEntry* known = find_endpoint(endpoint.seq);
    require(known != nullptr && known->now && known->now->updated_at == endpoint.updated_at &&
                known->now->state == endpoint.state && known->now->url == endpoint.url,
            "an endpoint is not as it was committed: " + std::to_string(endpoint.seq));
  }
}

}  // namespace outboxd::simulation
