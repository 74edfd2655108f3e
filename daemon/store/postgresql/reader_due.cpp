// What an endpoint has due. Two round trips, whatever the backlog: which deliveries, by a seek for each priority from its
// low-water mark on; then the events of those that fit.
#include <algorithm>

#include "store/postgresql/reader_session.h"
#include "store/rows.h"

namespace outboxd::postgresql {
namespace {

constexpr int kShares = 16;
// An event that is not there was moved to the partition of what outlives its day a moment ago, or is gone for good.
constexpr Millis kMissingEvent = std::chrono::seconds(1);

void earlier(std::optional<Time>& next, Time t) {
  next = next ? std::min(*next, t) : t;
}

struct Candidate {
  DueDelivery delivery;
  std::int64_t day = 0;
};
struct Level {
  int priority = 0;
  std::vector<Candidate> due;  // without those that the caller holds
  int reserved = 0;            // rows it is guaranteed before a higher priority gets more
};

// What is pending of the priorities that have anything, the highest first.
struct Found {
  DueMarks::Snapshot snapshot;
  std::vector<Level> levels;
  std::optional<Time> later;  // the first that is not due yet
  DueMarks::Times earliest;
};

Found read_found(Cursor row, EndpointSeq endpoint, std::span<const EventSeq> held) {
  Found found;
  while (row.next()) {
    found.snapshot = {.at = row.time(0), .oldest = row.integer(1), .next = row.integer(2)};
    if (row.is_null(3)) break;  // nothing is pending
    const int priority = read_priority(row.integer(3));
    const Time due_at = row.time(8);
    earlier(found.earliest[static_cast<std::size_t>(priority)], due_at);
    if (row.is_null(4)) {
      earlier(found.later, due_at);
      continue;
    }
    const EventSeq event = row.integer(4);
    if (found.levels.empty() || found.levels.back().priority != priority)
      found.levels.push_back({.priority = priority, .due = {}, .reserved = 0});
    if (std::ranges::binary_search(held, event)) continue;
    found.levels.back().due.push_back({.delivery = {.key = {event, endpoint},
                                                    .attempts = read_attempts(row.integer(6)),
                                                    .attempts_ever = read_attempts(row.integer(7)),
                                                    .due_at = due_at,
                                                    .due_in = due_at - found.snapshot.at,
                                                    .created_at = row.time(9),
                                                    .sequence_key = row.optional_text(10),
                                                    .expires_at = row.optional_time(11),
                                                    .event = {}},
                                       .day = row.integer(5)});
  }
  return found;
}

// Leaves of each priority what fits into `limit`; true: something was left out.
bool choose(std::vector<Level>& levels, int limit) {
  int reserved = 0;
  if (levels.size() > 1) {
    const int share = std::max(1, limit / kShares);
    for (Level& level : levels) {
      level.reserved = std::min(share, static_cast<int>(level.due.size()));
      reserved += level.reserved;
    }
  }
  bool more = false;
  int left = limit;
  for (Level& level : levels) {
    reserved -= level.reserved;
    const auto room = static_cast<std::size_t>(std::clamp(left - reserved, std::min(1, left), left));
    if (level.due.size() > room) {
      more = true;
      level.due.resize(room);
    }
    left -= static_cast<int>(level.due.size());
  }
  return more;
}

// The events of candidates, by their place among these; absent: it is not there, or its payload did not come.
struct EventsFound {
  std::vector<std::shared_ptr<Event>> events;
  std::vector<std::size_t> sizes;
  std::vector<bool> there;
};

EventsFound read_events(Statement& statement, const std::vector<const Candidate*>& wanted,
                        std::size_t max_bytes) {
  constexpr int kFirst = 3;
  EventsFound found{.events = std::vector<std::shared_ptr<Event>>(wanted.size()),
                    .sizes = std::vector<std::size_t>(wanted.size()),
                    .there = std::vector<bool>(wanted.size())};
  if (wanted.empty()) return found;
  std::vector<std::int64_t> numbers, days;
  std::int64_t first_day = kKeptDays, last_day = -1;
  numbers.reserve(wanted.size());
  days.reserve(wanted.size());
  for (const Candidate* candidate : wanted) {
    numbers.push_back(candidate->delivery.key.event);
    days.push_back(candidate->day);
    if (candidate->day >= kKeptDays) continue;
    first_day = std::min(first_day, candidate->day);
    last_day = std::max(last_day, candidate->day);
  }
  const std::size_t bound = std::min(max_bytes, std::size_t{1} << 40);
  Cursor row(statement, numbers, days, first_day, last_day, static_cast<std::int64_t>(bound));
  while (row.next()) {
    const auto place = static_cast<std::size_t>(row.integer(0)) - 1;
    if (place >= wanted.size()) continue;
    found.there[place] = true;
    found.sizes[place] = static_cast<std::size_t>(row.integer(2));
    if (row.number(1) != 0) found.events[place] = read_checked_event(row, numbers[place], kFirst, 0);
  }
  return found;
}

}  // namespace

DueWindow Reader::due(EndpointSeq endpoint, int limit, std::size_t max_bytes,
                      std::span<const EventSeq> held) {
  return read([&](Session& session) { return due_now(session, endpoint, limit, max_bytes, held); });
}

DueWindow Reader::due_now(Session& session, EndpointSeq endpoint, int limit, std::size_t max_bytes,
                          std::span<const EventSeq> held) {
  Found found;
  const auto rows = static_cast<std::int64_t>(limit) + 1 + static_cast<std::int64_t>(held.size());
  for (bool complete = false; !complete;) {
    const Millis began = steady_now();
    const DueMarks::Look look = options_.marks->begin(endpoint, began);
    std::vector<std::int64_t> from;  // priority 9 first
    from.reserve(DueMarks::kPriorities);
    for (auto at = look.from.rbegin(); at != look.from.rend(); ++at)
      from.push_back(at->has_value() ? millis(**at) : 0);
    found = read_found(Cursor(session.due, endpoint, rows, from, now_for_tests()), endpoint, held);
    complete = options_.marks->saw(endpoint, look, found.earliest, found.snapshot, began);
  }

  DueWindow window;
  const Time now = found.snapshot.at;
  std::optional<Time> next = found.later;
  if (choose(found.levels, limit)) next = now;
  std::vector<const Candidate*> wanted;
  for (const Level& level : found.levels) {
    for (const Candidate& candidate : level.due) wanted.push_back(&candidate);
  }
  EventsFound events = read_events(session.events_of_deliveries, wanted, max_bytes);

  std::vector<const Candidate*> without;  // they fit, but theirs did not come: of lower priorities
  std::vector<std::size_t> places;        // of these in the window
  std::size_t bytes = 0, place = 0;
  for (Level& level : found.levels) {
    bool first = true, full = false;
    for (Candidate& candidate : level.due) {
      const std::size_t at = place++;
      if (full) continue;
      if (!events.there[at]) {
        earlier(next, now + kMissingEvent);
        continue;
      }
      if (!first && bytes + events.sizes[at] > max_bytes) {
        next = now;
        full = true;
        continue;
      }
      first = false;
      bytes += events.sizes[at];
      if (!events.events[at]) {
        without.push_back(&candidate);
        places.push_back(window.deliveries.size());
      }
      window.deliveries.push_back(candidate.delivery);
      window.deliveries.back().event = std::move(events.events[at]);
    }
  }
  EventsFound rest =
      read_events(session.events_of_deliveries, without, std::numeric_limits<std::size_t>::max());
  for (std::size_t i = 0; i < without.size(); ++i)
    window.deliveries[places[i]].event = std::move(rest.events[i]);
  std::erase_if(window.deliveries, [](const DueDelivery& delivery) { return delivery.event == nullptr; });
  if (next) window.next_due_in = *next - now;
  return window;
}

}  // namespace outboxd::postgresql
