// Deleting what is past its keeping, in steps of a bounded number of rows: every table has its turn.
#include <algorithm>

#include "store/sqlite/rows.h"
#include "store/sqlite/writer.h"

namespace outboxd::sqlite {
namespace {

constexpr int kEventsLookedAt =
    512;  // in one step; most that are past their time and stay wait as dead letters
constexpr int kDeliveriesLookedAt = 512;   // of one event at a time
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

// False: `left` came to its end before the event did.
bool Writer::prune_event(EventSeq event, bool old, Prune& command, std::int64_t& left) {
  bool kept = !old;
  std::vector<Finish> some;
  EndpointSeq after = 0;
  do {
    some.clear();
    {
      Cursor row(finish_of_deliveries_, event, after, kDeliveriesLookedAt);
      while (row.next()) some.push_back({row.integer(0), read_state(row.view(1)), row.optional_time(2)});
    }
    for (const Finish& finish : some) {
      after = finish.endpoint;
      const bool dead = finish.state == DeliveryState::kDead;
      if (!finish.at || *finish.at >= (dead ? command.dead_before : command.delivered_before)) {
        kept = true;
        continue;
      }
      if (left <= 0) return false;
      delete_attempts_.run(event, finish.endpoint);
      const std::int64_t attempts = delete_attempts_.changes();
      delete_delivery_.run(event, finish.endpoint);
      --now_.of(finish.state);
      ++command.pruned.deliveries;
      command.pruned.attempts += attempts;
      left -= 1 + attempts;
    }
  } while (some.size() == kDeliveriesLookedAt);
  if (kept) return true;
  {
    Cursor unfinished(fan_out_of_, event);
    if (unfinished.next()) return true;
  }
  delete_event_.run(event);
  --now_.events;
  --left;
  ++command.pruned.events;
  return true;
}

void Writer::prune_events(Prune& command, std::int64_t left) {
  std::vector<std::pair<EventSeq, Time>> events;
  {
    Cursor row(events_after_, command.after, kEventsLookedAt);
    while (row.next()) events.emplace_back(row.integer(0), read_uuid(row.view(1)).time());
  }
  const Time newest = std::max(command.delivered_before, command.dead_before);
  for (const auto& [event, accepted_at] : events) {
    // Those behind are newer still; but one from the future was accepted while the clock was wrong.
    if (accepted_at >= newest && accepted_at <= command.at) return;
    if (left <= 0 || !prune_event(event, accepted_at < command.delivered_before, command, left)) {
      command.next = event - 1;
      return;
    }
  }
  if (events.size() == kEventsLookedAt) command.next = events.back().first;
}

bool Writer::give_back_pages() {
  const std::int64_t free = db_.query_int("PRAGMA freelist_count");
  const std::int64_t all = db_.query_int("PRAGMA page_count");
  const std::int64_t surplus = free - std::max(kFreePagesKept, all / kFreeShare);
  if (surplus <= 0) return false;
  db_.execute("PRAGMA incremental_vacuum(" + std::to_string(std::min(surplus, kPagesAtOnce)) + ")");
  return surplus > kPagesAtOnce;
}

void Writer::execute(Prune& command, Write&) {
  Pruned& pruned = command.pruned = {};
  command.next.reset();
  std::int64_t left = command.limit;
  if (command.after == 0) {
    left -= pruned.idempotency_keys = prune_keys(command.at, left);
    left -= pruned.outbox_rows = prune_rejected(command.dead_before, left);
    // Its deliveries were discarded when it was removed: they are gone before it.
    const Time long_ago = std::min(command.delivered_before, command.dead_before) - std::chrono::days(1);
    left -= pruned.endpoints = prune_endpoints(long_ago, left);
  }
  if (left > 0) {
    prune_events(command, left);
  } else {
    command.next = command.after;
  }
  if (give_back_pages() && !command.next) command.next = now_.event_seq;
}

}  // namespace outboxd::sqlite
