#include "store/postgresql/writer.h"

#include <type_traits>
#include <utility>

#include "common/partition.h"
#include "telemetry/log.h"

namespace outboxd::postgresql {
namespace {

constexpr std::size_t kMaxKnownDays = 1000;

template <class Part, class C>
concept CarriesOut = requires(Part& part, const C& command, Transaction& transaction) {
  part.execute(command, transaction);
};

// Carried out together with others of these (run_together).
template <class C>
inline constexpr bool kGoesInRuns =
    std::is_same_v<C, AcceptEvents> || std::is_same_v<C, AnnounceEvent> || std::is_same_v<C, RecordOutcome>;

template <class C>
Result<AnyAnswer> execute_by_its_part(const C&, Transaction&) {
  static_assert(kGoesInRuns<C>, "a part carries out each kind of command");
  return problem(ProblemCode::kInternal, "the command is carried out together with others");
}
template <class C, class Part, class... Others>
Result<AnyAnswer> execute_by_its_part(const C& command, Transaction& transaction, Part& part,
                                      Others&... others) {
  if constexpr (CarriesOut<Part, C>) {
    static_assert((!CarriesOut<Others, C> && ...), "each kind of command is the matter of one part");
    auto answer = part.execute(command, transaction);
    if (!answer) return tl::unexpected(std::move(answer.error()));
    return AnyAnswer(std::move(*answer));
  } else {
    return execute_by_its_part(command, transaction, others...);
  }
}

bool goes_in_runs(const Command& command) {
  return std::visit([](const auto& own) { return kGoesInRuns<std::decay_t<decltype(own)>>; }, command);
}

template <class Take>
void for_each_new_event(const Batch& batch, Take take) {
  for (const Command* const command : batch.commands) {
    if (const auto* accept = std::get_if<AcceptEvents>(command)) {
      for (const NewEvent& event : accept->events) take(event);
    } else if (const auto* announce = std::get_if<AnnounceEvent>(command)) {
      take(*announce->event);
    }
  }
}

}  // namespace

struct Writer::Attempt {
  Standing::Now member;
  Refusals refused;
  std::vector<std::size_t> run = {};  // commands to be carried out together
  std::size_t at = 0;  // the command that is carried out; the number of commands: all of them are
  bool begun = false;
  bool one_by_one = false;  // so that it shows whose fault a violation is
  int violations = 0;
};

Writer::Writer(Options options, Standing& standing)
    : options_(std::move(options)),
      standing_(standing),
      db_(options_.connection),
      transaction_(db_, options_.clock),
      endpoints_(db_, options_.secrets),
      secrets_(db_, options_.secrets),
      housekeeper_([this] {
        ConnectionOptions other = options_.connection;
        other.purpose = "housekeeper";
        return other;
      }()) {}

Applied Writer::apply(const Batch& batch) {
  if (failed_)
    throw StoreError(StoreError::Kind::kFailed, "the store failed before: it takes no more writes");
  if (batch.owner != options_.owner)
    throw StoreError(StoreError::Kind::kFenced, "the batch is of another daemon");
  if (db_.is_lost()) db_.reconnect();
  events_.begin_batch();
  Attempt attempt{.member = standing_.now(), .refused = Refusals(batch.commands.size())};
  while (true) {
    attempt.run.clear();
    attempt.begun = false;
    if (auto applied = try_apply(batch, attempt)) return std::move(*applied);
  }
}

// Tests that have a clock of their own have no time of the database's.
void Writer::maintain() {
  const std::set<int> erased = payloads_.take_days_to_vacuum();
  if (options_.clock != nullptr || failed_ || db_.is_lost()) return;
  housekeeper_.vacuum(erased);
  const bool owner = standing_.owned().test(kHousekeepingPartition);
  if ((owner || !housekeeper_.is_idle()) && transaction_.now() != Time{})
    housekeeper_.run(day_of(transaction_.now()));
}

std::optional<Applied> Writer::try_apply(const Batch& batch, Attempt& attempt) {
  try {
    make_days(batch);
    Applied applied = execute_all(batch, attempt);
    if (!attempt.member.token.empty()) standing_.committed(attempt.member);
    events_.committed();
    return applied;
  } catch (const Transaction::Fenced&) {
    rollback();
    standing_.found_fenced(attempt.member.token);
    attempt.member.token.clear();
    return std::nullopt;
  } catch (const ConstraintViolation& violation) {
    rollback();
    if (handle(violation, batch, attempt)) return std::nullopt;
    fail(violation.what());
  } catch (const StoreError& error) {
    const bool uncertain = transaction_.is_committing() && db_.is_lost();
    rollback();
    if (uncertain) throw StoreError(StoreError::Kind::kUnknown, error.what());
    if (error.may_try_again()) throw;
    fail(error.what());
  } catch (const std::exception& failure) {
    rollback();
    fail(failure.what());
  }
}

// First it may have been a lost race, or a partition that was dropped: the same once more. Then whose fault it is shows one
// by one. Only this command is at fault then, and always will be: the others are carried out again without it.
bool Writer::handle(const ConstraintViolation& violation, const Batch& batch, Attempt& attempt) {
  days_.clear();
  events_.forget_days();
  if (++attempt.violations == 1) return true;
  if (!std::exchange(attempt.one_by_one, true)) return true;
  // Somebody else has used the key meanwhile.
  if (violation.table.starts_with("idempotency")) throw StoreError(StoreError::Kind::kBusy, violation.what());
  if (attempt.at == batch.commands.size() ||
      std::holds_alternative<RecordOutcome>(*batch.commands[attempt.at]))
    return false;
  log::error("a command breaks a rule of the schema", {{"error", violation.what()}});
  attempt.refused[attempt.at] = Problem{
      ProblemCode::kInternal, "the store refused the values; the daemon's log says which rule they break"};
  return true;
}

// Partitions are made ahead, but an event's day may be any: that of its id.
void Writer::make_days(const Batch& batch) {
  if (days_.size() > kMaxKnownDays) days_.clear();
  for_each_new_event(batch, [this](const NewEvent& event) {
    const int day = day_of(event.event->id);
    if (days_.contains(day)) return;
    make_day_.run(day);
    days_.insert(day);
  });
}

Applied Writer::execute_all(const Batch& batch, Attempt& attempt) {
  Applied applied;
  applied.answers.resize(batch.commands.size());
  for (attempt.at = 0; attempt.at < batch.commands.size(); ++attempt.at) {
    const Command& command = *batch.commands[attempt.at];
    if (attempt.refused[attempt.at]) {
      applied.answers[attempt.at] = tl::unexpected(*attempt.refused[attempt.at]);
    } else if (goes_in_runs(command)) {
      attempt.run.push_back(attempt.at);
      if (attempt.one_by_one) run_together(batch, attempt, applied, false);
    } else {
      if (!attempt.run.empty()) run_together(batch, attempt, applied, false);
      if (!attempt.begun) begin_alone(batch, attempt);
      applied.answers[attempt.at] = execute(command);
    }
  }
  run_together(batch, attempt, applied, true);
  applied.facts = transaction_.committed();
  return applied;
}

void Writer::begin_alone(const Batch& batch, Attempt& attempt) {
  Pipeline first(db_);
  transaction_.ask(first, batch, attempt.member);
  first.run();
  transaction_.hear(first);
  attempt.begun = true;
}

// With `last`, the commit goes along with what the run writes.
void Writer::run_together(const Batch& batch, Attempt& attempt, Applied& applied, bool last) {
  if (!attempt.run.empty() || !attempt.begun) {
    bool numbered = false;
    Pipeline first(db_);
    ask_first(first, batch, attempt, applied, numbered);
    first.run();
    if (!std::exchange(attempt.begun, true)) transaction_.hear(first);
    events_.hear(first);
    if (numbered) events_.hear_numbers(first, false);
    outcomes_.hear(first);
    ask_second(numbered);
    for (const std::size_t i : attempt.run) applied.answers[i] = execute_in_run(*batch.commands[i]);
    if (const auto since = transaction_.behind_since()) endpoints_.tell_changes(*since, transaction_);
    attempt.run.clear();
  }
  if (last) transaction_.before_commit();
  Pipeline end(db_);
  write_run(end);
  if (last) transaction_.ask_commit(end);
  db_.take_warning();  // of before
  end.run();
  if (last && db_.take_warning()) {
    db_.abandon();
    throw StoreError(StoreError::Kind::kUnknown, "a standby may not have got what was committed");
  }
  for (const std::size_t fact : orders_.promoting(end)) transaction_.promoted(fact);
  end_run();
}

void Writer::ask_first(Pipeline& first, const Batch& batch, Attempt& attempt, Applied& applied,
                       bool& numbered) {
  if (!attempt.begun) transaction_.ask(first, batch, attempt.member);
  std::vector<std::size_t> taken;
  taken.reserve(attempt.run.size());
  for (const std::size_t i : attempt.run) {
    const Command& command = *batch.commands[i];
    const auto* const outcome = std::get_if<RecordOutcome>(&command);
    if (outcome != nullptr && !transaction_.owns(outcome->key.endpoint)) {
      applied.answers[i] = problem(ProblemCode::kConflict, "the endpoint is another daemon's now");
      transaction_.tell(OutcomeRecorded{.key = outcome->key});
      continue;
    }
    taken.push_back(i);
    if (outcome != nullptr) outcomes_.expect(*outcome);
    if (const auto* accept = std::get_if<AcceptEvents>(&command)) events_.expect(*accept);
    if (const auto* announce = std::get_if<AnnounceEvent>(&command)) events_.expect(*announce);
  }
  attempt.run = std::move(taken);
  events_.ask(first, batch.repeat);
  outcomes_.ask(first, batch.repeat);
  // What has an order draws its number under its lock; what is repeated has one already, as a rule.
  numbered = !orders_.any() && !batch.repeat;
  if (numbered) events_.ask_numbers(first, transaction_, false);
}

void Writer::ask_second(bool numbered) {
  Pipeline second(db_);
  orders_.ask(second);
  if (!numbered) events_.ask_numbers(second, transaction_, orders_.any());
  outcomes_.ask_finished(second);
  if (second.size() > 0) second.run();
  orders_.hear(second);
  if (!numbered) events_.hear_numbers(second, orders_.any());
  outcomes_.hear_finished(second);
}

Result<AnyAnswer> Writer::execute_in_run(const Command& command) {
  const auto in_general = [](auto answer) -> Result<AnyAnswer> {
    if (!answer) return tl::unexpected(std::move(answer.error()));
    return AnyAnswer(std::move(*answer));
  };
  if (const auto* outcome = std::get_if<RecordOutcome>(&command))
    return in_general(outcomes_.execute(*outcome, transaction_));
  if (const auto* announce = std::get_if<AnnounceEvent>(&command))
    return in_general(events_.execute(*announce, transaction_));
  return in_general(events_.execute(std::get<AcceptEvents>(command), transaction_));
}

Result<AnyAnswer> Writer::execute(const Command& command) {
  return std::visit(
      [this](const auto& own) {
        return execute_by_its_part(own, transaction_, fan_outs_, endpoints_, operator_, batches_, types_,
                                   outbox_, payloads_, retention_, secrets_);
      },
      command);
}

// The pending rows are back before those who are first now are looked for.
void Writer::write_run(Pipeline& last) {
  events_.write(last);
  outcomes_.write(last);
  pending_.write(last);
  orders_.write(last);
}

void Writer::end_run() {
  events_.end_run();
  outcomes_.end_run();
  orders_.end();
  pending_.drop();
}

void Writer::rollback() noexcept {
  events_.rolled_back();
  end_run();
  transaction_.rolled_back();
  if (db_.is_lost()) return;
  try {
    if (db_.in_transaction()) db_.execute("ROLLBACK");
  } catch (const std::exception& failure) {
    db_.abandon();  // whatever was under way ends with its session
    log::warn("a transaction could not be rolled back", {{"error", failure.what()}});
  }
}

void Writer::fail(const std::string& what) {
  failed_ = true;
  throw StoreError(StoreError::Kind::kFailed, what);
}

}  // namespace outboxd::postgresql
