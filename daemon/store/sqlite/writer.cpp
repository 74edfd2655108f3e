#include "store/sqlite/writer.h"

#include <algorithm>

#include "store/command_traits.h"
#include "telemetry/log.h"

namespace outboxd::sqlite {
namespace {

// The WAL file is cut to this when it begins anew; until then it is as long as it once had to be.
constexpr std::int64_t kWalBytesKept = 32 << 20;
// Also when there is nothing to commit: the group commit comes round once a second.
constexpr Millis kCheckAllFilesEvery{500};

}  // namespace

std::int64_t& Tally::of(DeliveryState state) {
  switch (state) {
    case DeliveryState::kPending:
      return pending;
    case DeliveryState::kDelivered:
      return delivered;
    case DeliveryState::kDead:
      return dead;
    case DeliveryState::kDiscarded:
      break;
  }
  return discarded;
}

Tally read_tally(Statement& read_counter) {
  Cursor row(read_counter);
  if (!row.next())
    throw StoreFailure("the row of table counter is missing: the database is damaged", kExitStoreCorrupt);
  return {row.integer(0), row.integer(1), row.integer(2), row.integer(3),
          row.integer(4), row.integer(5), row.integer(6)};
}

Writer::Writer(const Options& options, ReadGate& gate, DueClock& due_clock)
    : ballast_(options.location, options.ballast_bytes),
      db_(options.location, Mode::kWriter, options.busy_timeout, options.cache_kib, options.on_error),
      due_clock_(due_clock),
      secrets_(options.secrets) {
  if (options.checkpoints) checkpoint_.emplace(db_, options.location, gate);
  db_.execute("PRAGMA journal_size_limit=" + std::to_string(kWalBytesKept));
  Statement read_counter(db_, sql::kReadCounter);
  committed_ = read_tally(read_counter);
  files_.emplace(db_, options.location);
  Statement live_endpoints(db_, sql::kLiveEndpoints);
  Cursor row(live_endpoints);
  while (row.next()) endpoints_.insert(row.integer(0));
}

void Writer::apply(std::span<Write*> batch) {
  if (failed_) throw StoreFailure("the store failed before: it takes no more writes");
  try {
    apply_until_legal(batch);
    check_files();
  } catch (const StoreFull&) {
    ballast_.release();
    throw;
  }
}

// Each round carries out all or finds one command that can never be.
void Writer::apply_until_legal(std::span<Write*> batch) {
  try {
    if (ballast_.released()) refuse_growth(batch);
    while (!try_apply(batch)) {
    }
  } catch (...) {
    for (Write* write : batch) write->refused.reset();
    throw;
  }
}

// The room that the ballast gave is for what became of deliveries.
void Writer::refuse_growth(std::span<Write*> batch) const {
  for (Write* write : batch) {
    if (traits_of(write->command).grows)
      write->refused = Problem{ProblemCode::kInsufficientStorage, "the disk of the database is full"};
  }
}

void Writer::refuse(Problem problem) {
  answers_.push_back([write = current_, problem = std::move(problem)] { write->refused = problem; });
}

bool Writer::try_apply(std::span<Write*> batch) {
  try {
    begin();
    for (Write* write : batch) {
      if (write->refused) continue;
      current_ = write;
      std::visit([this](const auto& command) { execute(command); }, write->command);
    }
    current_ = nullptr;
    commit();
    for (auto& put : answers_) put();
    answers_.clear();
    return true;
  } catch (const StoreBusy&) {
    rollback();
    throw;
  } catch (const StoreFull&) {
    rollback();
    throw;
  } catch (const ConstraintViolation& violation) {
    rollback();
    if (current_ == nullptr || std::holds_alternative<RecordOutcome>(current_->command))
      fail(violation.what());
    // Only this command is at fault, for good. The others are judged again without it.
    log::error("a command breaks a rule of the schema", {{"error", violation.what()}});
    current_->refused = Problem{ProblemCode::kInternal,
                                "the store refused the values; the daemon's log says which rule they break"};
    return false;
  } catch (const std::exception& failure) {
    rollback();
    fail(failure.what());
  }
  return false;
}

void Writer::begin() {
  now_ = committed_;
  removing_.clear();
  answers_.clear();
  current_ = nullptr;
  const DueClock::State due = due_clock_.state();
  ahead_ = due.ahead;
  wall_ = due.last - due.ahead;
  begin_.run();
}

void Writer::commit() {
  const DueClock::State due = due_clock_.state();
  add_to_counter_.run(now_.event_seq, now_.endpoint_seq, now_.events - committed_.events,
                      now_.pending - committed_.pending, now_.delivered - committed_.delivered,
                      now_.dead - committed_.dead, now_.discarded - committed_.discarded, due.ahead.count(),
                      millis(due.last));
  commit_.run();
  for (EndpointSeq made = committed_.endpoint_seq + 1; made <= now_.endpoint_seq; ++made)
    endpoints_.insert(made);
  for (const EndpointSeq endpoint : removing_) endpoints_.erase(endpoint);
  committed_ = now_;
}

// After some errors SQLite has rolled back by itself.
void Writer::rollback() noexcept {
  try {
    if (db_.in_transaction()) rollback_.run();
  } catch (const std::exception& failure) {
    failed_ = true;  // the next apply() says so
    log::error("a transaction could not be rolled back", {{"error", failure.what()}});
  }
}

void Writer::fail(const std::string& what) {
  failed_ = true;
  throw StoreFailure(what);
}

bool Writer::all_files_due() const {
  return std::chrono::steady_clock::now() - files_checked_ >= kCheckAllFilesEvery;
}

void Writer::check_files() {
  try {
    if (!all_files_due()) return files_->check();
    files_->check_all();
    files_checked_ = std::chrono::steady_clock::now();
  } catch (const std::exception& failure) {
    fail(failure.what());
  }
}

void Writer::tidy() {
  if (failed_) return;
  if (all_files_due()) check_files();
  ballast_.restore_if_possible();
  try {
    if (checkpoint_) checkpoint_->run_if_due();
  } catch (const std::exception& failure) {
    fail(failure.what());
  }
}

// What SQLite does itself at the last close would swallow an I/O error; after this it finds nothing to copy.
void Writer::finish() {
  if (failed_ || !checkpoint_) return;
  try {
    checkpoint_->run();
  } catch (const std::exception& failure) {
    fail(failure.what());
  }
  sqlite3_db_config(db_.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
}

}  // namespace outboxd::sqlite
