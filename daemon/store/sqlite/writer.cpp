#include "store/sqlite/writer.h"

#include "store/command_traits.h"
#include "telemetry/log.h"

namespace outboxd::sqlite {
namespace {

// The WAL file is cut to this when it begins anew; until then it is as long as it once had to be.
constexpr std::int64_t kWalBytesKept = 32 << 20;
// Also when there is nothing to commit: the group commit comes round once a second.
constexpr Millis kCheckAllFilesEvery{500};

template <class Part, class C>
concept CarriesOut = requires(Part& part, const C& command, Transaction& transaction) {
  part.execute(command, transaction);
};

template <class C, class Part>
void execute_if_own(const C& command, Transaction& transaction, Part& part) {
  if constexpr (CarriesOut<Part, C>) part.execute(command, transaction);
}

template <class C, class... Parts>
void execute_by_its_part(const C& command, Transaction& transaction, Parts&... parts) {
  static_assert((int{CarriesOut<Parts, C>} + ...) == 1, "each kind of command is the matter of one part");
  (execute_if_own(command, transaction, parts), ...);
}

}  // namespace

Writer::Writer(const Options& options, ReadGate& gate, DueClock& due_clock)
    : ballast_(options.location, options.ballast_bytes),
      db_(options.location, Mode::kWriter, options.busy_timeout, options.cache_kib, options.on_error),
      transaction_(db_, due_clock),
      endpoints_(db_, options.secrets) {
  if (options.checkpoints) checkpoint_.emplace(db_, options.location, gate);
  db_.execute("PRAGMA journal_size_limit=" + std::to_string(kWalBytesKept));
  files_.emplace(db_, options.location);
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

void Writer::execute(const Command& command) {
  std::visit(
      [this](const auto& own) {
        execute_by_its_part(own, transaction_, events_, outcomes_, endpoints_, operator_, retention_);
      },
      command);
}

bool Writer::try_apply(std::span<Write*> batch) {
  try {
    transaction_.begin();
    for (Write* write : batch) {
      if (write->refused) continue;
      transaction_.start_command(write);
      execute(write->command);
    }
    transaction_.commit();
    return true;
  } catch (const StoreBusy&) {
    rollback();
    throw;
  } catch (const StoreFull&) {
    rollback();
    throw;
  } catch (const ConstraintViolation& violation) {
    rollback();
    Write* const culprit = transaction_.current();
    if (culprit == nullptr || std::holds_alternative<RecordOutcome>(culprit->command)) fail(violation.what());
    // Only this command is at fault, for good. The others are carried out again without it.
    log::error("a command breaks a rule of the schema", {{"error", violation.what()}});
    culprit->refused = Problem{ProblemCode::kInternal,
                               "the store refused the values; the daemon's log says which rule they break"};
    return false;
  } catch (const std::exception& failure) {
    rollback();
    fail(failure.what());
  }
  return false;
}

void Writer::rollback() noexcept {
  if (!transaction_.rollback()) failed_ = true;  // the next apply() says so
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
