#include "store/sqlite/writer.h"

#include <filesystem>
#include <utility>

#include "store/command_traits.h"
#include "telemetry/log.h"

namespace outboxd::sqlite {
namespace {

// The WAL file is truncated to this size when it starts again from its beginning; until then it stays as long as it
// once became.
constexpr const char* kKeepWal = "PRAGMA journal_size_limit=33554432";
// Applies also when there is nothing to commit, because the group commit does a round every second.
constexpr Millis kCheckAllFilesEvery{500};

// A kill leaves the log as it was, perhaps with the bytes of a payload that was erased just before; a stop leaves none.
bool log_was_left(const Location& location) {
  std::error_code error;
  const auto size = std::filesystem::file_size(location.path + "-wal", error);
  return location.is_on_disk() && !error && size > 0;
}

template <class Part, class C>
concept CarriesOut = requires(Part& part, const C& command, Transaction& transaction) {
  part.execute(command, transaction);
};

template <class C, class Part, class... Others>
Result<typename C::Answer> execute_by_its_part(const C& command, Transaction& transaction, Part& part,
                                               Others&... others) {
  if constexpr (CarriesOut<Part, C>) {
    static_assert((!CarriesOut<Others, C> && ...), "each kind of command is the matter of one part");
    return part.execute(command, transaction);
  } else {
    return execute_by_its_part(command, transaction, others...);
  }
}

// What accepts events does not, or sees to it itself; nor does the outcome of a delivery that is older than the transaction.
bool may_look_for_new_rows(const Command& command, EventSeq last_event_before) {
  if (std::holds_alternative<AcceptEvents>(command)) return false;
  const auto* const outcome = std::get_if<RecordOutcome>(&command);
  return outcome == nullptr || outcome->key.event > last_event_before;
}

}  // namespace

Writer::Writer(const Options& options, Shared& shared)
    : owner_(options.owner),
      ballast_(options.location, options.ballast_bytes),
      db_(options.location, Mode::kWriter, options.busy_timeout, options.cache_kib, options.on_error),
      transaction_(db_, shared),
      endpoints_(db_, options.secrets),
      secrets_(db_, options.secrets),
      purging_(log_was_left(options.location)) {
  if (options.checkpoints) checkpoint_.emplace(db_, options.location, shared.gate);
  db_.execute(kKeepWal);
  files_.emplace(db_, options.location);
}

Applied Writer::apply(const Batch& batch) {
  if (failed_)
    throw StoreError(StoreError::Kind::kFailed, "the store failed before: it takes no more writes");
  if (batch.owner != owner_)
    throw StoreError(StoreError::Kind::kFenced, "the database is served by another daemon");
  try {
    Applied applied = apply_until_legal(batch);
    check_files();
    return applied;
  } catch (const StoreError& error) {
    if (error.kind == StoreError::Kind::kFull) ballast_.release();
    throw;
  }
}

// Each round either commits the batch or finds one command that can never succeed. The space freed by the ballast is
// for the outcomes of deliveries: growth is refused, except in a repeat, which may be committed already.
Applied Writer::apply_until_legal(const Batch& batch) {
  Refusals refused(batch.commands.size());
  if (ballast_.released() && !batch.repeat) {
    for (std::size_t i = 0; i < refused.size(); ++i) {
      if (traits_of(*batch.commands[i]).grows)
        refused[i] = Problem{ProblemCode::kInsufficientStorage, "the disk of the database is full"};
    }
  }
  // A repeat looks for each of its rows first.
  bool gathers_rows = !batch.repeat;
  while (true) {
    if (auto applied = try_apply(batch, refused, gathers_rows)) return std::move(*applied);
  }
}

Result<AnyAnswer> Writer::execute(const Command& command) {
  return std::visit(
      [this](const auto& own) -> Result<AnyAnswer> {
        auto answer = execute_by_its_part(own, transaction_, events_, outcomes_, endpoints_, secrets_,
                                          operator_, batches_, types_, retention_, payloads_);
        if (!answer) return tl::unexpected(std::move(answer.error()));
        return AnyAnswer(std::move(*answer));
      },
      command);
}

void Writer::insert_gathered() {
  events_.insert_gathered();
  outcomes_.insert_gathered();
}

// `at` is the index of the command being carried out; the number of commands when all are done.
Applied Writer::execute_all(const Batch& batch, const Refusals& refused, std::size_t& at) {
  Applied applied;
  applied.answers.reserve(batch.commands.size());
  for (at = 0; at < batch.commands.size(); ++at) {
    if (refused[at]) {
      applied.answers.emplace_back(tl::unexpected(*refused[at]));
    } else {
      if (may_look_for_new_rows(*batch.commands[at], transaction_.last_event_before())) insert_gathered();
      applied.answers.push_back(execute(*batch.commands[at]));
    }
  }
  insert_gathered();
  applied.facts = transaction_.commit();
  return applied;
}

std::optional<Applied> Writer::try_apply(const Batch& batch, Refusals& refused, bool& gathers_rows) {
  std::size_t at = batch.commands.size();
  try {
    transaction_.begin(batch, gathers_rows);
    return execute_all(batch, refused, at);
  } catch (const ConstraintViolation& violation) {
    rollback();
    if (std::exchange(gathers_rows, false)) return std::nullopt;  // whose row it is shows one by one
    if (at == batch.commands.size() || std::holds_alternative<RecordOutcome>(*batch.commands[at]))
      fail(violation.what());
    // Only this command is at fault, and always will be. The others are carried out again without it.
    log::error("a command breaks a rule of the schema", {{"error", violation.what()}});
    refused[at] = Problem{ProblemCode::kInternal,
                          "the store refused the values; the daemon's log says which rule they break"};
    return std::nullopt;
  } catch (const StoreError& error) {
    rollback();
    if (error.may_try_again()) throw;
    fail(error.what());
  } catch (const std::exception& failure) {
    rollback();
    fail(failure.what());
  }
}

void Writer::rollback() noexcept {
  events_.drop_gathered();
  outcomes_.drop_gathered();
  if (!transaction_.rollback()) failed_ = true;  // the next apply() says so
}

void Writer::fail(const std::string& what) {
  failed_ = true;
  throw StoreError(StoreError::Kind::kFailed, what);
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

void Writer::maintain() {
  if (failed_) return;
  if (all_files_due()) check_files();
  ballast_.restore_if_possible();
  try {
    if (checkpoint_) checkpoint_->run_if_due();
    purging_ = eraser_.take_purge_log() || purging_;
    if (checkpoint_ && purging_) purge_log();
  } catch (const std::exception& failure) {
    fail(failure.what());
  }
}

void Writer::purge_log() {
  db_.execute("PRAGMA journal_size_limit=0");
  purging_ = !checkpoint_->purge();
  db_.execute(kKeepWal);
}

// SQLite's own checkpoint at the last close would swallow an I/O error; after this one it has nothing left to copy.
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
