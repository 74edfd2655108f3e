#include "store/sqlite/transaction.h"

#include <string>

#include "telemetry/log.h"

namespace outboxd::sqlite {

tl::unexpected<Problem> missing(std::string_view what) {
  return problem(ProblemCode::kNotFound, "there is no such " + std::string(what));
}

Transaction::Transaction(Database& db, Shared& shared)
    : db_(db), due_clock_(shared.due_clock), foreign_(shared.foreign), directory_(shared.directory_version) {
  Statement read_counter(db, sql::kReadCounter);
  committed_ = read_counters(read_counter);
}

void Transaction::begin(const Batch& batch, bool gathers_rows) {
  counters_ = committed_;
  directory_.begin();
  repeats_ = batch.repeat;
  gathers_rows_ = gathers_rows;
  facts_.clear();
  facts_.reserve(batch.commands.size());
  actions_.clear();
  const DueClock::State due = due_clock_.state();
  ahead_ = due.ahead;
  wall_ = due.last - due.ahead;
  rollup_.begin(wall_);
  begin_.run();
  notice_foreign_commits();
}

// The version changes with each commit of another connection, never with one of this.
void Transaction::notice_foreign_commits() {
  foreign_.writer_at_work();
  Cursor version(data_version_);
  if (!version.next() || version.integer(0) == seen_version_) return;
  seen_version_ = version.integer(0);
  foreign_.ring();
}

Facts Transaction::commit() {
  rollup_.write();
  const DueClock::State due = due_clock_.state();
  const DeliveryCounts &all = counters_.deliveries, &before = committed_.deliveries;
  add_to_counter_.run(counters_.event_seq, counters_.endpoint_seq, counters_.events - committed_.events,
                      all.pending - before.pending, all.delivered - before.delivered, all.dead - before.dead,
                      all.discarded - before.discarded, due.ahead.count(), millis(due.last),
                      counters_.batches);
  for (const auto& [endpoint, change] : counters_.changes) {
    if (change != DeliveryCounts{})
      add_to_endpoint_count_.run(endpoint, change.pending, change.delivered, change.dead, change.discarded);
  }
  commit_.run();
  foreign_.writer_at_work();
  counters_.changes.clear();
  committed_ = counters_;
  directory_.commit();
  rollup_.committed();
  for (const auto& act : actions_) act();
  shorten_waits(due_clock_.now() - (wall_ + ahead_));
  return std::exchange(facts_, {});
}

// Waits were computed as of the begin, and locks and the disk have taken time since. If the clock was set forward in
// between, nothing else corrects the waits in these facts.
void Transaction::shorten_waits(Millis by) {
  for (Fact& fact : facts_) {
    if (auto* ready = std::get_if<DeliveryReady>(&fact)) ready->delivery.due_in -= by;
    if (auto* outcome = std::get_if<OutcomeRecorded>(&fact); outcome && outcome->due_in)
      *outcome->due_in -= by;
  }
}

// After some errors SQLite has already rolled back by itself.
bool Transaction::rollback() noexcept {
  try {
    if (db_.in_transaction()) rollback_.run();
    return true;
  } catch (const std::exception& failure) {
    log::error("a transaction could not be rolled back", {{"error", failure.what()}});
    return false;
  }
}

}  // namespace outboxd::sqlite
