#include "store/sqlite/transaction.h"

#include "telemetry/log.h"

namespace outboxd::sqlite {

Transaction::Transaction(Database& db, DueClock& due_clock) : db_(db), due_clock_(due_clock) {
  Statement read_counter(db, sql::kReadCounter);
  committed_ = read_counters(read_counter);
  Statement live_endpoints(db, sql::kLiveEndpoints);
  Cursor row(live_endpoints);
  while (row.next()) endpoints_.insert(row.integer(0));
}

bool Transaction::is_removed(EndpointSeq endpoint) const {
  if (removed_.contains(endpoint)) return true;
  return endpoint <= committed_.endpoint_seq && !endpoints_.contains(endpoint);
}

void Transaction::refuse(Problem problem) {
  answers_.push_back([write = current_, problem = std::move(problem)] { write->refused = problem; });
}

void Transaction::refuse_as_missing(std::string_view what) {
  refuse({ProblemCode::kNotFound, "there is no such " + std::string(what)});
}

void Transaction::begin() {
  counters_ = committed_;
  removed_.clear();
  answers_.clear();
  current_ = nullptr;
  const DueClock::State due = due_clock_.state();
  ahead_ = due.ahead;
  wall_ = due.last - due.ahead;
  begin_.run();
}

void Transaction::commit() {
  current_ = nullptr;
  const DueClock::State due = due_clock_.state();
  add_to_counter_.run(counters_.event_seq, counters_.endpoint_seq, counters_.events - committed_.events,
                      counters_.pending - committed_.pending, counters_.delivered - committed_.delivered,
                      counters_.dead - committed_.dead, counters_.discarded - committed_.discarded,
                      due.ahead.count(), millis(due.last));
  commit_.run();
  for (EndpointSeq made = committed_.endpoint_seq + 1; made <= counters_.endpoint_seq; ++made)
    endpoints_.insert(made);
  for (const EndpointSeq endpoint : removed_) endpoints_.erase(endpoint);
  committed_ = counters_;
  for (auto& put : answers_) put();
  answers_.clear();
}

// After some errors SQLite has rolled back by itself.
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
