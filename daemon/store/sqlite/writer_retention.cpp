// Deleting what is past its keeping, in steps of a bounded number of rows: every table has its turn.
#include <algorithm>

#include "store/sqlite/rows.h"
#include "store/sqlite/writer.h"

namespace outboxd::sqlite {
namespace {

constexpr int kEventsLookedAt =
    512;  // in one step; most that are past their time and stay wait as dead letters
constexpr std::int64_t kDeliveriesLookedAt = 512;  // of one event at a time
constexpr std::int64_t kRowsLookedAt =
    2048;  // deliveries in one step: a millisecond or two, if all of them stay
constexpr std::int64_t kPagesAtOnce = 64;  // given back to the file system in one step
// Free pages that stay, for what comes next: a tenth of the file, and not worth the trouble below a megabyte.
constexpr std::int64_t kFreePagesKept = 256;
constexpr std::int64_t kFreeShare = 10;

struct Finish {
  EndpointSeq endpoint = 0;
  DeliveryState state = DeliveryState::kPending;
  std::optional<Time> at;
};

}  // namespace

// The keys and rows that `find` gives, each deleted by `remove`.
std::int64_t Writer::prune_keys(Time now, std::int64_t limit) {
  std::vector<std::pair<std::string, std::string>> expired;
  {
    Cursor row(expired_idempotency_, millis(now), limit);
    while (row.next()) expired.emplace_back(row.text(0), row.text(1));
  }
  for (const auto& [tenant, key] : expired) delete_idempotency_.run(tenant, key);
  return static_cast<std::int64_t>(expired.size());
}

std::int64_t Writer::prune_rejected(Time before, std::int64_t limit) {
  std::vector<std::int64_t> old;
  {
    Cursor row(rejected_after_, 0, limit);
    while (row.next() && row.time(1) < before) old.push_back(row.integer(0));
  }
  for (const std::int64_t seq : old) delete_rejected_.run(seq);
  return static_cast<std::int64_t>(old.size());
}

std::int64_t Writer::prune_endpoints(Time before, std::int64_t limit) {
  std::vector<EndpointSeq> removed;
  {
    Cursor row(removed_endpoints_, millis(before), limit);
    while (row.next()) removed.push_back(row.integer(0));
  }
  for (const EndpointSeq endpoint : removed) delete_endpoint_.run(endpoint);
  return static_cast<std::int64_t>(removed.size());
}

// One step of retention: what it may still do, and how far it came.
struct Writer::PruneStep {
  const Prune& command;
  std::int64_t deletes;                // rows that it may delete yet
  std::int64_t reads = kRowsLookedAt;  // deliveries that it may look at yet
  EndpointSeq behind = 0;              // of the event that it is at: those up to this one were looked at
  bool kept = false;                   // one of them stays
  Pruned pruned = {};
  std::optional<DeliveryKey> next = {};

  bool is_over() const { return deletes <= 0 || reads <= 0; }
  bool is_past(const Finish& finish) const {
    const bool dead = finish.state == DeliveryState::kDead;
    return finish.at && *finish.at < (dead ? command.dead_before : command.delivered_before);
  }
};

// False: the step is over before the event is.
bool Writer::prune_deliveries(EventSeq event, PruneStep& step) {
  std::vector<Finish> some;
  std::int64_t wanted = 0;
  do {
    if (step.is_over()) return false;
    wanted = std::min(kDeliveriesLookedAt, step.reads);
    some.clear();
    {
      Cursor row(finish_of_deliveries_, event, step.behind, wanted);
      while (row.next()) some.push_back({row.integer(0), read_state(row.view(1)), row.optional_time(2)});
    }
    step.reads -= static_cast<std::int64_t>(some.size());
    for (const Finish& finish : some) {
      if (step.is_past(finish)) {
        if (step.deletes <= 0) return false;
        delete_attempts_.run(event, finish.endpoint);
        const std::int64_t attempts = delete_attempts_.changes();
        delete_delivery_.run(event, finish.endpoint);
        --now_.of(finish.state);
        ++step.pruned.deliveries;
        step.pruned.attempts += attempts;
        step.deletes -= 1 + attempts;
      } else {
        step.kept = true;
      }
      step.behind = finish.endpoint;
    }
  } while (static_cast<std::int64_t>(some.size()) == wanted);
  return true;
}

bool Writer::prune_event(EventSeq event, bool old, PruneStep& step) {
  step.kept = !old;
  if (!prune_deliveries(event, step)) return false;
  if (step.kept) return true;
  for (Statement* reason_to_stay :
       {&any_delivery_of_, &fan_out_of_}) {  // the steps before may have kept some
    Cursor row(*reason_to_stay, event);
    if (row.next()) return true;
  }
  delete_event_.run(event);
  --now_.events;
  --step.deletes;
  ++step.pruned.events;
  return true;
}

void Writer::prune_events(PruneStep& step) {
  const Prune& command = step.command;
  std::vector<std::pair<EventSeq, Time>> events;
  {
    Cursor row(events_after_, command.after.event - 1, kEventsLookedAt);
    while (row.next()) events.emplace_back(row.integer(0), read_uuid(row.view(1)).time());
  }
  const Time newest = std::max(command.delivered_before, command.dead_before);
  for (const auto& [event, accepted_at] : events) {
    // Those behind are newer still; but one from the future was accepted while the clock was wrong.
    if (accepted_at >= newest && accepted_at <= command.at) return;
    step.behind = event == command.after.event ? command.after.endpoint : 0;
    if (!prune_event(event, accepted_at < command.delivered_before, step)) {
      step.next = {event, step.behind};
      return;
    }
  }
  if (events.size() == kEventsLookedAt) step.next = {events.back().first + 1, 0};
}

bool Writer::give_back_pages() {
  const std::int64_t free = db_.query_int("PRAGMA freelist_count");
  const std::int64_t all = db_.query_int("PRAGMA page_count");
  const std::int64_t surplus = free - std::max(kFreePagesKept, all / kFreeShare);
  if (surplus <= 0) return false;
  db_.execute("PRAGMA incremental_vacuum(" + std::to_string(std::min(surplus, kPagesAtOnce)) + ")");
  return surplus > kPagesAtOnce;
}

void Writer::execute(const Prune& command) {
  PruneStep step{.command = command, .deletes = command.limit};
  if (command.after == DeliveryKey{}) {
    Pruned& pruned = step.pruned;
    step.deletes -= pruned.idempotency_keys = prune_keys(command.at, step.deletes);
    step.deletes -= pruned.outbox_rows = prune_rejected(command.dead_before, step.deletes);
    // Its deliveries were discarded when it was removed: they are gone before it.
    const Time long_ago = std::min(command.delivered_before, command.dead_before) - std::chrono::days(1);
    step.deletes -= pruned.endpoints = prune_endpoints(long_ago, step.deletes);
  }
  if (step.is_over()) {
    step.next = command.after;
  } else {
    prune_events(step);
  }
  if (give_back_pages() && !step.next) step.next = {now_.event_seq + 1, 0};
  answer<Prune>([pruned = step.pruned, next = step.next](Prune& done) {
    done.pruned = pruned;
    done.next = next;
  });
}

}  // namespace outboxd::sqlite
