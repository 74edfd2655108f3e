#include "store/postgresql/retention_writer.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "common/partition.h"
#include "store/postgresql/columns.h"
#include "store/postgresql/retention_statements.h"
#include "store/rows.h"

namespace outboxd::postgresql {
namespace {

// A step reads more events than it deletes, because most old events that stay are waiting as dead letters.
constexpr std::int64_t kMaxEventsRead = 512;
constexpr std::int64_t kDeliveriesAtFirst = 32;    // of each event, in one read for all of them
constexpr std::int64_t kDeliveriesPerRead = 512;   // of one event that has more
constexpr std::int64_t kMaxDeliveriesRead = 2048;  // in one step

// Where a step continues with large days: before the first event.
constexpr EndpointSeq kLargeDays = 1;
bool is_before_events(const Prune& command) {
  return command.after.event == 0;
}

}  // namespace

struct RetentionWriter::OldEvent {
  EventSeq seq = 0;
  Time accepted_at{};
  int day = 0;
  bool fans_out = false;
};

struct RetentionWriter::Finish {
  EndpointSeq endpoint = 0;
  DeliveryState state = DeliveryState::kPending;
  std::optional<Time> at;
  int attempts = 0;
};

// One step of retention: its remaining budget, how far it has come, and what it is going to delete.
struct RetentionWriter::Step {
  const Prune& command;
  std::int64_t deletes;                     // rows that it may still delete
  EventSeq counted;                         // later events are not counted by type yet, and stay
  std::int64_t reads = kMaxDeliveriesRead;  // deliveries that it may still read
  EndpointSeq after = 0;                    // the last endpoint read of the current event
  bool kept = false;                        // a delivery of the current event stays
  Pruned pruned = {};

  struct Deliveries {
    std::vector<std::int64_t> events, endpoints, days;
  } deliveries = {};
  struct Events {
    std::vector<std::int64_t> seqs, days;
  } events = {};

  bool is_over() const { return deletes <= 0 || reads <= 0; }
  bool is_past(const Finish& finish) const {
    const bool dead = finish.state == DeliveryState::kDead;
    return finish.at && *finish.at < (dead ? command.dead_before : command.delivered_before);
  }
};

RetentionWriter::RetentionWriter(Connection& db, EventTypeWriter& types, std::int64_t large_day)
    : types_(types),
      large_days_(db, large_day),
      events_(db, sql::kRetentionColumns),
      expired_keys_(db, sql::kDeleteExpiredKeys),
      rejected_(db, sql::kDeleteRejected),
      ended_batches_(db, sql::kDeleteEndedBatches),
      removed_endpoints_(db, sql::kDeleteRemovedEndpoints),
      finishes_(db, sql::kFinishesOf),
      delete_deliveries_(db, sql::kDeleteDeliveries),
      delete_events_(db, sql::kDeleteEvents) {}

void RetentionWriter::prune_other_tables(const Prune& command, Step& step, Transaction& transaction) {
  const auto run = [&step](Statement& statement, Time before) {
    statement.run(millis(before), std::max<std::int64_t>(step.deletes, 0));
    step.deletes -= statement.changes();
    return statement.changes();
  };
  Pruned& pruned = step.pruned;
  pruned.idempotency_keys = run(expired_keys_, command.at);
  pruned.outbox_rows = run(rejected_, command.dead_before);
  pruned.batches = run(ended_batches_, command.dead_before);
  // A removed endpoint's deliveries were discarded when it was removed, so they are deleted before it is.
  const Time long_ago = std::min(command.delivered_before, command.dead_before) - std::chrono::days(1);
  Cursor gone(removed_endpoints_, millis(long_ago), std::max<std::int64_t>(step.deletes, 0));
  gone.next();
  step.deletes -= pruned.endpoints = gone.integer(0);
  step.deletes -= transaction.rollup().maintain(command.at, step.deletes);
}

// Sets `next` where an event is not counted yet. `more`: there are old events behind these.
std::vector<RetentionWriter::OldEvent> RetentionWriter::old_events(Step& step, bool& more) {
  const Prune& command = step.command;
  const Time newest = std::max(command.delivered_before, command.dead_before);
  std::vector<OldEvent> events;
  bool ended = false;
  const std::int64_t read = events_.take(
      command.after.event - 1, kLastEvent, kMaxEventsRead, large_days_.days(command), [&](const Cursor& row) {
        const OldEvent event{row.integer(0), row.uuid(1).time(), row.number(2), row.boolean(3)};
        if (ended) return;
        // All later events are newer still. But one from the future was accepted while the clock was wrong, and ends
        // nothing.
        const bool recent = event.accepted_at >= newest && event.accepted_at <= command.at;
        if (!recent && event.seq > step.counted) step.pruned.next = {event.seq, 0};
        ended = recent || event.seq > step.counted;
        if (!ended) events.push_back(event);
      });
  more = !ended && read == kMaxEventsRead;
  return events;
}

std::vector<std::vector<RetentionWriter::Finish>> RetentionWriter::finishes_of(
    const std::vector<OldEvent>& events, const std::vector<std::int64_t>& after, std::int64_t limit) {
  std::vector<std::vector<Finish>> finishes(events.size());
  if (events.empty()) return finishes;
  Cursor row(finishes_, column<std::int64_t>(events, [](const OldEvent& e) { return e.seq; }),
             column<std::int64_t>(events, [](const OldEvent& e) { return e.day; }), after, limit);
  while (row.next()) {
    finishes.at(static_cast<std::size_t>(row.integer(0) - 1))
        .push_back({row.integer(1), read_state(row.view(2)), row.optional_time(3), row.number(4)});
  }
  return finishes;
}

bool RetentionWriter::prune_event(const OldEvent& event, std::vector<Finish> finishes, Step& step) {
  std::int64_t wanted = kDeliveriesAtFirst;
  while (true) {
    for (const Finish& finish : finishes) {
      if (step.is_over()) return false;
      --step.reads;
      step.after = finish.endpoint;
      if (!step.is_past(finish)) {
        step.kept = true;
        continue;
      }
      step.deliveries.events.push_back(event.seq);
      step.deliveries.endpoints.push_back(finish.endpoint);
      step.deliveries.days.push_back(event.day);
      step.deletes -= 1 + finish.attempts;
    }
    if (static_cast<std::int64_t>(finishes.size()) < wanted) return true;
    if (step.is_over()) return false;
    wanted = std::min(kDeliveriesPerRead, step.reads);
    finishes = std::move(finishes_of({event}, {step.after}, wanted).front());
  }
}

void RetentionWriter::prune_events(Step& step, Transaction& transaction) {
  const Prune& command = step.command;
  bool more = false;
  const std::vector<OldEvent> events = old_events(step, more);
  std::vector<std::int64_t> after(events.size(), 0);
  if (!events.empty() && events.front().seq == command.after.event) after.front() = command.after.endpoint;
  auto finishes = finishes_of(events, after, kDeliveriesAtFirst);
  for (std::size_t i = 0; i < events.size(); ++i) {
    const OldEvent& event = events[i];
    step.after = after[i];
    step.kept = event.accepted_at >= command.delivered_before;
    if (step.is_over()) {
      step.pruned.next = {event.seq, step.after};
      break;
    }
    // A fan-out comes to deliveries that are in their order already: it would make those anew that have left no trace.
    if (event.fans_out) continue;
    if (!prune_event(event, std::move(finishes[i]), step)) {
      step.pruned.next = {event.seq, step.after};
      break;
    }
    if (step.kept) continue;
    step.events.seqs.push_back(event.seq);
    step.events.days.push_back(event.day);
    --step.deletes;
  }
  if (!step.pruned.next && more) step.pruned.next = {events.back().seq + 1, 0};
  write(step, transaction);
}

void RetentionWriter::write(Step& step, Transaction& transaction) {
  Counters& counters = transaction.counters();
  if (!step.deliveries.events.empty()) {
    Cursor gone(delete_deliveries_, step.deliveries.events, step.deliveries.endpoints, step.deliveries.days);
    while (gone.next()) {
      const std::int64_t count = gone.integer(3);
      counters.add(gone.integer(0), gone.number(1), read_state(gone.view(2)), -count);
      step.pruned.deliveries += count;
      step.pruned.attempts = gone.integer(4);
    }
  }
  if (step.events.seqs.empty()) return;
  Cursor gone(delete_events_, step.events.seqs, step.events.days);
  while (gone.next()) {
    counters.add_events(gone.number(0), -1);
    ++step.pruned.events;
  }
}

Result<Pruned> RetentionWriter::execute(const Prune& command, Transaction& transaction) {
  if (!transaction.owns(kHousekeepingPartition)) return Pruned{};
  // First of all, because an event that is gone can be counted no more.
  const EventSeq counted = types_.count(kMaxEventsRead).counted;
  Step step{.command = command, .deletes = command.limit, .counted = counted};
  const bool new_round = command.after == DeliveryKey{};
  if (new_round) prune_other_tables(command, step, transaction);
  if (step.is_over()) {
    step.pruned.next = command.after;
  } else if (is_before_events(command) &&
             large_days_.step(command, counted, new_round, transaction, step.pruned)) {
    // They come first: what is kept of them is looked at with everything else.
    step.pruned.next = DeliveryKey{.event = 0, .endpoint = kLargeDays};
  } else {
    prune_events(step, transaction);
  }
  return step.pruned;
}

}  // namespace outboxd::postgresql
