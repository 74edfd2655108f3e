// What producers and operators do in a simulated world, and what goes wrong in it.
#include <algorithm>

#include "simulation/core_world_state.h"

namespace outboxd::simulation {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMaxPending = 60;  // above this, producers pause
constexpr std::size_t kMaxEndpoints = 10;

const std::vector<std::string> kTypes = {"order.paid", "order.sent", "ticket.made"};
const std::vector<std::string> kPatterns = {"**", "order.*", "ticket.made", "**"};
const std::vector<std::string> kTenants = {"", "", "", "acme", "_ops"};

}  // namespace

void CoreWorld::act() {
  if (chance(0.03) && ledger_.pending() < kMaxPending) chance(0.3) ? produce_over_sql() : produce_over_http();
  if (chance(0.012)) operate();
  if (ledger_.has_fan_outs() && chance(0.01)) meddle_with_fan_out();
  if (chance(0.1)) meddle_with_read();
  if (!ledger_.running_batches().empty() && chance(0.5)) meddle_with_batch();
  if (chance(0.005)) disturb();
  if (members_ > 1 && chance(0.006)) chance(0.2) ? take_over() : move_partitions();
}

// ---- producers

EventDraft CoreWorld::draft() {
  EventDraft made;
  made.event.type = one_of(kTypes);
  made.event.tenant = chance(0.8) ? "" : "acme";
  made.event.payload = "{\"n\":" + std::to_string(++payloads_) + "}";
  made.event.json_checked = true;
  made.event.priority = chance(0.6) ? kDefaultPriority : pick(10);
  if (chance(0.5)) made.event.ordering_key = chance(0.5) ? "a" : "b";
  if (chance(0.1)) made.delay = some(4000);
  if (chance(0.1)) made.ttl = 500ms + some(10'000);
  return made;
}

void CoreWorld::produce_over_http() {
  CoreDaemon* const at = any_daemon();
  if (at == nullptr) return;
  std::vector<EventDraft> drafts;
  for (int n = chance(0.8) ? 1 : 1 + pick(5); n > 0; --n) drafts.push_back(draft());
  if (drafts.size() == 1 && chance(0.3)) {
    EventDraft& one = drafts.front();
    one.idempotency_key = "key" + std::to_string(pick(6));
    const auto [known, is_new] = keyed_.emplace(*one.idempotency_key, one);
    if (!is_new && chance(0.7))
      one = known->second;  // else another content: a conflict, or the key is free again
    if (!is_new) known->second = one;
  }
  // An endpoint that the event is matched with may be removed before the event is committed.
  if (const EndpointPtr endpoint = any_endpoint(*at); endpoint && chance(0.03))
    order(*at, RemoveEndpoint{endpoint->id, clock_.wall()});
  ++requests_.at(static_cast<std::size_t>(at->number()));
  at->ingest().accept(std::move(drafts),
                      [this, number = at->number()](const Result<std::vector<AcceptedEvent>>& accepted) {
                        answered(number, accepted);
                      });
}

void CoreWorld::answered(int number, const Result<std::vector<AcceptedEvent>>& accepted) {
  CoreDaemon* const at = daemon(number);
  if (at == nullptr || at->has_failed()) return;  // no producer waits for this answer any more
  --requests_.at(static_cast<std::size_t>(number));
  if (!accepted) return;  // refused, while nobody knows what became of the commit before
  if (!at->everybody_knows()) violation("a producer is answered before the facts are told");
  ++report_.accepted;
  for (const AcceptedEvent& event : *accepted) {
    if (!ledger_.event(event.id)) violation("an event is acknowledged that was not committed");
  }
}

void CoreWorld::produce_over_sql() {
  if (!store_.is_open()) return;
  std::vector<CoreTables::OutboxInsert> rows;
  for (int n = 1 + pick(4); n > 0; --n) {
    CoreTables::OutboxInsert row;
    row.type = one_of(kTypes);
    row.payload = "{\"n\":" + std::to_string(++payloads_) + "}";
    if (chance(0.5)) row.ordering_key = chance(0.5) ? "a" : "b";
    if (chance(0.2)) row.idempotency_key = "key" + std::to_string(pick(6));
    rows.push_back(std::move(row));
  }
  tables_.insert(rows);
}

// ---- operators

template <class C>
void CoreWorld::order(CoreDaemon& at, C command) {
  at.commits().submit(std::move(command),
                      [this, number = at.number()](const C&, const Result<typename C::Answer>& answer) {
                        if (!answer) return;
                        CoreDaemon* const its = daemon(number);
                        if (its != nullptr && !its->has_failed() && !its->everybody_knows())
                          violation("an operator is answered before the facts are told");
                      });
}

Endpoint CoreWorld::new_endpoint() {
  Endpoint made;
  made.id = EndpointId{ids_.next()};
  made.url = network_.new_url(static_cast<Manner>(pick(kManners)), chance(0.15));
  made.tenant = one_of(kTenants);
  made.types = {one_of(kPatterns)};
  if (chance(0.4)) made.ordering = chance(0.7) ? Ordering::kKey : Ordering::kEndpoint;
  if (chance(0.3)) made.on_failure_in_order = OnFailureInOrder::kSkip;
  if (chance(0.3)) made.max_in_flight = 1 + pick(3);
  if (chance(0.2)) made.rate_limit = RateLimit{1 + pick(20), 1s};
  if (chance(0.2)) made.retry_schedule = std::vector<Millis>{0ms, 100ms, 500ms};
  made.created_at = made.updated_at = clock_.wall();
  return made;
}

EndpointPtr CoreWorld::any_endpoint(CoreDaemon& at) {
  // Prefer an endpoint with a request under way.
  const auto busy = attempts_.endpoints_under_way();
  if (!busy.empty() && chance(0.5)) {
    if (EndpointPtr found = at.directory().find(one_of(busy))) return found;
  }
  const auto all = at.directory().all();
  if (all.empty()) return nullptr;
  return *std::ranges::min_element(all, {}, [this](const EndpointPtr&) { return random_(); });
}

void CoreWorld::create_endpoint(CoreDaemon& at) {
  order(at, CreateEndpoint{std::make_shared<const Endpoint>(new_endpoint())});
}

// Creates an endpoint with an id that is taken: it must be refused, and nothing else in its batch.
void CoreWorld::create_again(CoreDaemon& at) {
  const EndpointPtr known = any_endpoint(at);
  if (!known) return;
  Endpoint again = new_endpoint();
  again.id = known->id;
  order(at, CreateEndpoint{std::make_shared<const Endpoint>(std::move(again))});
}

void CoreWorld::update_endpoint(CoreDaemon& at, const EndpointPtr& endpoint) {
  Endpoint changed = *endpoint;
  const Endpoint other = new_endpoint();
  switch (pick(5)) {
    case 0:
    case 1:
      changed.url = other.url;
      break;
    case 2:
      changed.types = other.types;
      break;
    case 3:
      changed.ordering = other.ordering;
      break;
    default:
      changed.max_in_flight = other.max_in_flight;
      changed.rate_limit = other.rate_limit;
  }
  changed.name = "change " + std::to_string(++changes_);
  changed.updated_at = std::max(clock_.wall(), endpoint->updated_at + 1ms);
  order(at, UpdateEndpoint{std::make_shared<const Endpoint>(std::move(changed)), endpoint->updated_at});
}

void CoreWorld::set_state(CoreDaemon& at, const EndpointPtr& endpoint, EndpointState state) {
  order(at, SetEndpointState{endpoint->id, std::max(clock_.wall(), endpoint->updated_at + 1ms), state, ""});
}

void CoreWorld::change_delivery(CoreDaemon& at) {
  const auto those = chance(0.5) ? ledger_.pending_deliveries() : ledger_.all_deliveries();
  if (those.empty()) return;
  const DeliveryKey key = one_of(those);
  const EndpointEntry* endpoint = ledger_.find_endpoint(key.endpoint);
  if (endpoint == nullptr || !endpoint->now) return;
  const auto state = chance(0.5) ? DeliveryState::kPending : DeliveryState::kDiscarded;
  order(at, ChangeDelivery{key, state, clock_.wall()});
}

// Removes an endpoint, and adds one, just when a fan-out is about to make deliveries.
void CoreWorld::meddle_with_fan_out() {
  CoreDaemon* const at = any_daemon();
  if (at == nullptr) return;
  if (const EndpointPtr endpoint = any_endpoint(*at)) order(*at, RemoveEndpoint{endpoint->id, clock_.wall()});
  create_endpoint(*at);
  at->run_if_able(CoreDaemon::Part::kBackground);
}

// What a read of the backlog has found is changed before the scheduler hears of it.
void CoreWorld::meddle_with_read() {
  CoreDaemon* const at = any_daemon();
  if (at == nullptr || !at->is_reading()) return;
  for (int n = 1 + pick(3); n > 0; --n) change_delivery(*at);
  at->run_if_able(CoreDaemon::Part::kCommits);
}

// A batch is cancelled, or what it acts upon is changed or erased, between the read for its next step and that step's commit.
void CoreWorld::meddle_with_batch() {
  CoreDaemon* const at = any_daemon();
  if (at == nullptr) return;
  if (chance(0.1)) cancel_batch(*at);
  if (chance(0.5)) erase_payload(*at);
  for (int n = pick(12); n > 0; --n) change_delivery(*at);
  at->run_if_able(CoreDaemon::Part::kBackground);
  at->run_if_able(CoreDaemon::Part::kCommits);
}

// Removes an endpoint while the disk has room, and fills the disk before the endpoint's deliveries are swept.
void CoreWorld::remove_and_fill_disk() {
  CoreDaemon* const at = any_daemon();
  if (at == nullptr) return;
  if (const EndpointPtr endpoint = any_endpoint(*at)) order(*at, RemoveEndpoint{endpoint->id, clock_.wall()});
  at->run_if_able(CoreDaemon::Part::kCommits);
  disk_.inject(Fault::kFull, {.probability = 1});
}

// A receiver says that it is gone, and an operator moves the endpoint elsewhere at the same moment.
void CoreWorld::answered_gone(int number, EndpointSeq seq) {
  CoreDaemon* const at = daemon(number);
  const EndpointPtr endpoint = at->is_stopping() ? nullptr : at->directory().find(seq);
  if (!calm_ && endpoint && chance(0.2)) update_endpoint(*at, endpoint);
}

void CoreWorld::replay_event(CoreDaemon& at) {
  const auto all = ledger_.all_deliveries();
  if (all.empty()) return;
  const EventSeq seq = one_of(all).event;
  const Event* event = ledger_.event_of(seq);
  if (event == nullptr) return;
  ReplayEvent replay{.id = event->id, .endpoints = {}, .at = clock_.wall()};
  for (const DeliveryKey key : ledger_.deliveries_of(seq)) {
    if (at.directory().find(key.endpoint)) replay.endpoints.push_back(key.endpoint);
  }
  if (!replay.endpoints.empty()) order(at, std::move(replay));
}

// Retries or discards much of what there is, while attempts, operators and crashes go on changing it.
void CoreWorld::make_batch(CoreDaemon& at) {
  OperatorBatch batch;
  batch.id = BatchId{ids_.next()};
  batch.action = chance(0.7) ? BatchAction::kRetry : BatchAction::kDiscard;
  if (chance(0.6)) batch.filter.state = chance(0.6) ? DeliveryState::kDead : DeliveryState::kPending;
  if (const EndpointPtr endpoint = any_endpoint(at); endpoint && chance(0.6))
    batch.filter.endpoint = endpoint->id;
  if (chance(0.2)) batch.filter.type = one_of(kTypes);
  batch.rate = RateLimit{20 + pick(80), 1s};
  batch.created_at = clock_.wall();
  order(at, CreateBatch{std::make_shared<const OperatorBatch>(std::move(batch))});
}

void CoreWorld::cancel_batch(CoreDaemon& at) {
  const auto running = ledger_.running_batches();
  if (!running.empty()) order(at, CancelBatch{one_of(running), clock_.wall()});
}

void CoreWorld::erase_payload(CoreDaemon& at) {
  const auto those = chance(0.6) ? ledger_.pending_deliveries() : ledger_.all_deliveries();
  if (those.empty()) return;
  if (const Event* event = ledger_.event_of(one_of(those).event))
    erase_some(at, {.id = event->id, .at = clock_.wall(), .after = 0, .limit = 1 + pick(3)});
}

// As the API does it. When the daemon ends on the way, what is left is pending without a payload.
void CoreWorld::erase_some(CoreDaemon& at, ErasePayload step) {
  at.commits().submit(step,
                      [this, number = at.number()](const ErasePayload& done, const Result<Erased>& erased) {
                        CoreDaemon* const its = daemon(number);
                        if (!erased || its == nullptr || its->has_failed()) return;
                        if (!its->everybody_knows())
                          violation("an operator is answered before the facts are told");
                        if (!erased->next) return;
                        ErasePayload next = done;
                        next.after = *erased->next;
                        erase_some(*its, next);
                      });
}

void CoreWorld::operate() {
  CoreDaemon* const at = any_daemon();
  if (at == nullptr) return;
  const EndpointPtr endpoint = any_endpoint(*at);
  const int what = pick(24);
  if (what < 5 || !endpoint) {
    if (at->directory().all().size() < kMaxEndpoints) create_endpoint(*at);
  } else if (what < 8) {
    update_endpoint(*at, endpoint);
  } else if (what < 11) {
    const bool active = endpoint->state == EndpointState::kActive;
    set_state(*at, endpoint, active ? EndpointState::kPaused : EndpointState::kActive);
  } else if (what < 13) {
    order(*at, RemoveEndpoint{endpoint->id, clock_.wall()});
  } else if (what < 16) {
    for (int n = 1 + pick(5); n > 0; --n) change_delivery(*at);
  } else if (what < 17) {
    replay_event(*at);
  } else if (what < 18) {
    create_again(*at);
  } else if (what < 19) {
    at->retention().step(at->retention().periods(), {}, [](const Result<Pruned>&) {});
    const Time now = clock_.wall();
    if (chance(0.7))
      return;  // of what may have lost its payload the ledger cannot say what a batch does to it
    at->commits().submit(PrunePayloads{.before = now - 10s, .at = now, .after = 0, .limit = 1 + pick(8)},
                         [](const PrunePayloads&, const Result<PayloadsPruned>&) {});
  } else if (what < 22) {
    chance(0.8) ? make_batch(*at) : cancel_batch(*at);
  } else if (what < 23) {
    erase_payload(*at);
  } else {
    strict_policy_ = !strict_policy_;
    at->set_policy(strict_policy_);
  }
}

// An operator resumes every endpoint that is paused or disabled.
void CoreWorld::resume_everything() {
  CoreDaemon* const at = any_daemon();
  if (at == nullptr) return;
  for (const EndpointPtr& endpoint : at->directory().all()) {
    if (endpoint->state != EndpointState::kActive) set_state(*at, endpoint, EndpointState::kActive);
  }
}

// ---- what goes wrong

void CoreWorld::disturb() {
  const auto for_a_while = [this] { disturbed_until_ = now() + 20ms + some(chance(0.4) ? 1500 : 300); };
  CoreDaemon* const at = any_daemon();
  const int what = pick(20);
  if (what < 4 && at != nullptr) {
    at->stall(static_cast<CoreDaemon::Part>(pick(CoreDaemon::kParts)), some(1500));
  } else if (what == 4 || what == 17) {
    for_a_while();
    disk_.inject(Fault::kFull, {.probability = chance(0.5) ? 0.5 : 1});
  } else if (what == 5 || what >= 18) {
    for_a_while();
    disk_.inject(Fault::kBusy, {.probability = chance(0.5) ? 0.3 : 1});
  } else if (what < 8) {
    for_a_while();
    store_.faults().unknown = 0.3;
  } else if (what < 10) {
    for_a_while();
    store_.faults().busy_read = 0.4;
  } else if (what == 10) {
    clock_.step_wall(chance(0.5) ? some(60'000) : -some(60'000));
  } else if (what < 13) {
    disk_.inject(Fault::kPowerCut, {.nth = 1 + pick(40)});
  } else if (what == 13 && at != nullptr) {
    members_ == 1 ? reopen_store(chance(0.5)) : kill(at->number());
  } else if (what == 14) {
    disk_.inject(chance(0.5) ? Fault::kWriteError : Fault::kSyncError, {.nth = 1 + pick(20)});
  } else if (what == 15) {
    disk_.inject(Fault::kReadError, {.nth = 1 + pick(20)});
  } else if (what == 16) {
    begin_stop();
  }
}

}  // namespace outboxd::simulation
