#include "store/sqlite/retention_writer.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "store/sqlite/rows.h"

namespace outboxd::sqlite {
namespace {

// A step reads more events than it deletes, because most old events that stay are waiting as dead letters.
constexpr int kMaxEventsRead = 512;
constexpr std::int64_t kDeliveriesPerRead = 512;   // of one event, in one read
constexpr std::int64_t kMaxDeliveriesRead = 2048;  // in one step: a millisecond or two, if all of them stay
constexpr std::int64_t kPagesAtOnce = 64;          // given back to the file system in one step
// Free pages that are kept for later writes: a tenth of the file, but at least a megabyte, below which returning them
// is not worth the trouble.
constexpr std::int64_t kFreePagesKept = 256;
constexpr std::int64_t kFreeShare = 10;

struct Finish {
  EndpointSeq endpoint = 0;
  DeliveryState state = DeliveryState::kPending;
  std::optional<Time> at;
};

}  // namespace

std::int64_t RetentionWriter::prune_keys(Time now, std::int64_t limit) {
  std::vector<std::pair<std::string, std::string>> expired;
  {
    Cursor row(expired_idempotency_, millis(now), limit);
    while (row.next()) expired.emplace_back(row.text(0), row.text(1));
  }
  for (const auto& [tenant, key] : expired) delete_idempotency_.run(tenant, key);
  return static_cast<std::int64_t>(expired.size());
}

std::int64_t RetentionWriter::prune_rejected(Time before, std::int64_t limit) {
  std::vector<std::int64_t> old;
  {
    Cursor row(rejected_after_, 0, limit);
    while (row.next() && row.time(1) < before) old.push_back(row.integer(0));
  }
  for (const std::int64_t seq : old) delete_rejected_.run(seq);
  return static_cast<std::int64_t>(old.size());
}

std::int64_t RetentionWriter::prune_endpoints(Time before, std::int64_t limit) {
  std::vector<EndpointSeq> removed;
  {
    Cursor row(removed_endpoints_, millis(before), limit);
    while (row.next()) removed.push_back(row.integer(0));
  }
  for (const EndpointSeq endpoint : removed) {
    delete_endpoint_.run(endpoint);
    delete_endpoint_count_.run(endpoint);
  }
  return static_cast<std::int64_t>(removed.size());
}

std::int64_t RetentionWriter::prune_batches(Time before, std::int64_t limit) {
  std::vector<std::int64_t> ended;
  {
    Cursor row(ended_batches_, millis(before), limit);
    while (row.next()) ended.push_back(row.integer(0));
  }
  for (const std::int64_t number : ended) delete_batch_.run(number);
  return static_cast<std::int64_t>(ended.size());
}

// One step of retention: its remaining budget, and how far it has come.
struct RetentionWriter::Step {
  const Prune& command;
  Counters& counters;
  std::int64_t deletes;                     // rows that it may still delete
  EventSeq counted;                         // later events are not counted by type yet, and stay
  std::int64_t reads = kMaxDeliveriesRead;  // deliveries that it may still read
  EndpointSeq after = 0;                    // the last endpoint read of the current event
  bool kept = false;                        // a delivery of the current event stays
  Pruned pruned = {};

  bool is_over() const { return deletes <= 0 || reads <= 0; }
  bool is_past(const Finish& finish) const {
    const bool dead = finish.state == DeliveryState::kDead;
    return finish.at && *finish.at < (dead ? command.dead_before : command.delivered_before);
  }
};

bool RetentionWriter::prune_deliveries(EventSeq event, Step& step) {
  std::vector<Finish> some;
  std::int64_t wanted = 0;
  do {
    if (step.is_over()) return false;
    wanted = std::min(kDeliveriesPerRead, step.reads);
    some.clear();
    {
      Cursor row(finish_of_deliveries_, event, step.after, wanted);
      while (row.next()) some.push_back({row.integer(0), read_state(row.view(1)), row.optional_time(2)});
    }
    step.reads -= static_cast<std::int64_t>(some.size());
    for (const Finish& finish : some) {
      if (step.is_past(finish)) {
        if (step.deletes <= 0) return false;
        delete_attempts_.run(event, finish.endpoint);
        const std::int64_t attempts = delete_attempts_.changes();
        delete_delivery_.run(event, finish.endpoint);
        step.counters.add(finish.endpoint, finish.state, -1);
        ++step.pruned.deliveries;
        step.pruned.attempts += attempts;
        step.deletes -= 1 + attempts;
      } else {
        step.kept = true;
      }
      step.after = finish.endpoint;
    }
  } while (static_cast<std::int64_t>(some.size()) == wanted);
  return true;
}

bool RetentionWriter::prune_event(EventSeq event, bool old, Step& step) {
  const auto any = [event](Statement& statement) {
    Cursor row(statement, event);
    return row.next();
  };
  // A fan-out comes to deliveries that are in their order already: it would make those anew that have left no trace.
  if (any(fan_out_of_)) return true;
  step.kept = !old;
  if (!prune_deliveries(event, step)) return false;
  if (step.kept) return true;
  if (any(any_delivery_of_)) return true;  // that earlier steps have kept
  delete_event_.run(event);
  --step.counters.events;
  --step.deletes;
  ++step.pruned.events;
  return true;
}

void RetentionWriter::prune_events(Step& step) {
  const Prune& command = step.command;
  std::vector<std::pair<EventSeq, Time>> events;
  {
    Cursor row(events_after_, command.after.event - 1, kMaxEventsRead);
    while (row.next()) events.emplace_back(row.integer(0), read_uuid(row.view(1)).time());
  }
  const Time newest = std::max(command.delivered_before, command.dead_before);
  for (const auto& [event, accepted_at] : events) {
    // All later events are newer still. But one from the future was accepted while the clock was wrong, and ends
    // nothing.
    if (accepted_at >= newest && accepted_at <= command.at) return;
    if (event > step.counted) {
      step.pruned.next = {event, 0};
      return;
    }
    step.after = event == command.after.event ? command.after.endpoint : 0;
    if (!prune_event(event, accepted_at < command.delivered_before, step)) {
      step.pruned.next = {event, step.after};
      return;
    }
  }
  if (events.size() == kMaxEventsRead) step.pruned.next = {events.back().first + 1, 0};
}

bool RetentionWriter::give_back_pages() {
  const std::int64_t free = db_.query_int("PRAGMA freelist_count");
  const std::int64_t all = db_.query_int("PRAGMA page_count");
  const std::int64_t surplus = free - std::max(kFreePagesKept, all / kFreeShare);
  if (surplus <= 0) return false;
  db_.execute("PRAGMA incremental_vacuum(" + std::to_string(std::min(surplus, kPagesAtOnce)) + ")");
  return surplus > kPagesAtOnce;
}

Result<Pruned> RetentionWriter::execute(const Prune& command, Transaction& transaction) {
  // First of all, because an event that is gone can be counted no more.
  const EventSeq counted = types_.count(kMaxEventsRead, transaction);
  Step step{
      .command = command, .counters = transaction.counters(), .deletes = command.limit, .counted = counted};
  if (command.after == DeliveryKey{}) {
    Pruned& pruned = step.pruned;
    step.deletes -= pruned.idempotency_keys = prune_keys(command.at, step.deletes);
    step.deletes -= pruned.outbox_rows = prune_rejected(command.dead_before, step.deletes);
    step.deletes -= pruned.batches = prune_batches(command.dead_before, step.deletes);
    // A removed endpoint's deliveries were discarded when it was removed, so they are deleted before it is.
    const Time long_ago = std::min(command.delivered_before, command.dead_before) - std::chrono::days(1);
    step.deletes -= pruned.endpoints = prune_endpoints(long_ago, step.deletes);
    step.deletes -= transaction.rollup().maintain(command.at, step.deletes);
  }
  if (step.is_over()) {
    step.pruned.next = command.after;
  } else {
    prune_events(step);
  }
  if (give_back_pages() && !step.pruned.next) step.pruned.next = {step.counters.event_seq + 1, 0};
  return step.pruned;
}

}  // namespace outboxd::sqlite
