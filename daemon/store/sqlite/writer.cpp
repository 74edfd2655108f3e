#include "store/sqlite/writer.h"

#include <algorithm>

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
    : ballast_(options.path, options.ballast_bytes),
      db_(options.path, Mode::kWriter, options.busy_timeout, options.cache_kib, options.on_error),
      due_clock_(due_clock),
      secrets_(options.secrets) {
  if (options.checkpoints) checkpoint_.emplace(db_, options.path, gate);
  db_.execute("PRAGMA journal_size_limit=" + std::to_string(kWalBytesKept));
  Statement read_counter(db_, sql::kReadCounter);
  committed_ = read_tally(read_counter);
  files_.emplace(db_, options.path);
}

void Writer::apply(std::span<Write*> batch) {
  if (failed_) throw StoreFailure("the store failed before: it takes no more writes");
  if (ballast_.released()) refuse_growth(batch);
  try {
    while (!try_apply(batch)) {
    }
    check_files();
  } catch (const StoreFull&) {
    ballast_.release();
    throw;
  }
}

// The room that the ballast gave is for what became of deliveries.
void Writer::refuse_growth(std::span<Write*> batch) const {
  for (Write* write : batch) {
    const Command& command = write->command;
    if (std::holds_alternative<AcceptEvents>(command) || std::holds_alternative<ReplayEvent>(command) ||
        std::holds_alternative<CreateEndpoint>(command)) {
      write->refused = Problem{ProblemCode::kInsufficientStorage, "the disk of the database is full"};
    }
  }
}

bool Writer::try_apply(std::span<Write*> batch) {
  Write* current = nullptr;
  try {
    begin();
    for (Write* write : batch) {
      if (write->refused) continue;
      current = write;
      std::visit([this, write](auto& command) { execute(command, *write); }, write->command);
    }
    current = nullptr;
    commit();
    return true;
  } catch (const StoreBusy&) {
    rollback();
    throw;
  } catch (const StoreFull&) {
    rollback();
    throw;
  } catch (const ConstraintViolation& violation) {
    rollback();
    if (current == nullptr || std::holds_alternative<RecordOutcome>(current->command)) fail(violation.what());
    // Only this command is at fault. What was refused in this round is judged again without it.
    for (Write* write : batch) write->refused.reset();
    log::error("a command breaks a rule of the schema", {{"error", violation.what()}});
    current->refused = Problem{ProblemCode::kInternal,
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
  committed_ = now_;
}

// After some errors SQLite has rolled back by itself.
void Writer::rollback() noexcept {
  for (const EndpointSeq endpoint : removing_) removed_.erase(endpoint);
  removing_.clear();
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
