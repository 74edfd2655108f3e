#include "store/postgresql/day_retirement.h"

#include <algorithm>

#include "store/postgresql/columns.h"
#include "store/postgresql/day_statements.h"
#include "store/postgresql/days.h"
#include "store/rows.h"

namespace outboxd::postgresql {
namespace {

constexpr std::int64_t kEventsMoved = 256;  // in one step

}  // namespace

DayRetirement::DayRetirement(Connection& db, std::int64_t worth_it)
    : db_(db),
      worth_it_(worth_it),
      old_days_(db, sql::kOldDays),
      newest_(db, sql::kNewestOfDay),
      still_pending_(db, sql::kStillPending),
      still_fans_out_(db, sql::kStillFansOut),
      died_lately_(db, sql::kDiedLately),
      ended_lately_(db, sql::kEndedLately),
      move_pending_(db, sql::kMovePendingRows),
      move_finished_(db, sql::kMoveFinishedRows),
      move_attempts_(db, sql::kMoveAttempts),
      move_events_(db, sql::kMoveEvents),
      move_fan_outs_(db, sql::kMoveFanOuts),
      move_blocks_(db, sql::kMoveBlocks),
      delete_kept_blocks_(db, sql::kDeleteKeptBlocks),
      lock_(db, "SELECT lock_day($1::integer)"),
      empty_(db, "SELECT empty_day($1::integer)") {}

std::vector<DayRetirement::Day> DayRetirement::large_days(const Prune& command) {
  std::vector<Day> days;
  Cursor row(old_days_, day_of(std::min(command.delivered_before, command.at)));
  while (row.next()) {
    if (row.integer(1) + row.integer(2) >= worth_it_)
      days.push_back({row.number(0), row.integer(1), row.integer(2)});
  }
  return days;
}

std::vector<std::int64_t> DayRetirement::days(const Prune& command) {
  return column<std::int64_t>(large_days(command), [](const Day& day) { return day.day; });
}

// Some of the events of which something stays; none: nothing does.
std::vector<std::int64_t> DayRetirement::staying(int day, const Prune& command) {
  Pipeline some(db_);
  some.add(still_pending_, day, kEventsMoved)
      .add(still_fans_out_, day, kEventsMoved)
      .add(died_lately_, day, millis(command.dead_before), kEventsMoved)
      .add(ended_lately_, day, millis(command.delivered_before), kEventsMoved);
  some.run();
  std::set<std::int64_t> events;
  for (const std::size_t found : {0u, 1u, 2u, 3u}) {
    for (Cursor row = some.rows(found); row.next();) events.insert(row.integer(0));
  }
  std::vector<std::int64_t> first(events.begin(), events.end());
  if (first.size() > static_cast<std::size_t>(kEventsMoved)) first.resize(kEventsMoved);
  return first;
}

void DayRetirement::move(const std::vector<std::int64_t>& events, int day, Transaction& transaction) {
  const int to = kept_day(day);
  Pipeline all(db_);
  all.add(move_blocks_, events, to)
      .add(move_pending_, events, day, to)
      .add(move_finished_, events, day, to)
      .add(move_attempts_, events, day, to)
      .add(move_fan_outs_, events, day, to)
      .add(move_events_, events, day, to);
  all.run();
  Counters& counters = transaction.counters();
  for (const std::size_t table : {1u, 2u}) {
    for (Cursor row = all.rows(table); row.next();) {
      const DeliveryState state = read_state(row.view(1));
      counters.add(row.integer(0), day, state, -row.integer(2));
      counters.add(row.integer(0), to, state, row.integer(2));
    }
  }
  const std::int64_t moved = all.changes(5);
  counters.add_events(day, -moved);
  counters.add_events(to, moved);
}

bool DayRetirement::empty(const Day& day, const Prune& command, Transaction& transaction, Pruned& pruned) {
  {
    Cursor locked(lock_, day.day);
    locked.next();
    if (!locked.boolean(0)) {
      in_use_.insert(day.day);
      return false;
    }
  }
  const auto stays = staying(day.day, command);  // what has come before we had the lock
  if (!stays.empty()) {
    move(stays, day.day, transaction);
    return true;
  }
  Cursor attempts(empty_, day.day);
  attempts.next();
  transaction.counters().forget(day.day);
  pruned.events += day.events;
  pruned.deliveries += day.deliveries;
  pruned.attempts += attempts.integer(0);
  return true;
}

bool DayRetirement::step(const Prune& command, EventSeq counted, bool new_round, Transaction& transaction,
                         Pruned& pruned) {
  if (new_round) {
    in_use_.clear();
    delete_kept_blocks_.run(kFirstKeptDay);
  }
  for (const Day& day : large_days(command)) {
    if (in_use_.contains(day.day)) continue;
    {
      Cursor newest(newest_, day.day);
      if (newest.next() && newest.integer(0) > counted) {  // it is counted by type first
        in_use_.insert(day.day);
        continue;
      }
    }
    const auto stays = staying(day.day, command);
    if (!stays.empty()) {
      move(stays, day.day, transaction);
      return true;
    }
    if (empty(day, command, transaction, pruned)) return true;
  }
  return false;
}

}  // namespace outboxd::postgresql
