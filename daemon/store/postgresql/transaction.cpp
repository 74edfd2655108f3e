#include "store/postgresql/transaction.h"

#include <string>
#include <variant>

namespace outboxd::postgresql {
namespace {

// Whoever has not joined shares this slot with others that have not, and so takes its turn.
constexpr int kNoSlot = -1;

const SystemClock& system_clock() {
  static const SystemClock clock;
  return clock;
}

// The lowest version that an endpoint of the command was matched at; absent: it names none.
std::optional<DirectoryVersion> matched_at(const Command& command) {
  if (const auto* accept = std::get_if<AcceptEvents>(&command)) return accept->matched;
  if (const auto* announce = std::get_if<AnnounceEvent>(&command)) return announce->matched;
  if (const auto* expand = std::get_if<ExpandEvent>(&command)) return expand->matched;
  return std::nullopt;
}

// Does it change an endpoint, or make a batch?
bool needs_the_directory_alone(const Command& command) {
  return std::holds_alternative<CreateEndpoint>(command) || std::holds_alternative<UpdateEndpoint>(command) ||
         std::holds_alternative<SetEndpointState>(command) ||
         std::holds_alternative<DisableEndpoint>(command) ||
         std::holds_alternative<RemoveEndpoint>(command) || std::holds_alternative<CreateBatch>(command);
}

}  // namespace

tl::unexpected<Problem> missing(std::string_view what) {
  return problem(ProblemCode::kNotFound, "there is no such " + std::string(what));
}

Transaction::Transaction(Connection& db, const Clock* clock)
    : clock_(clock),
      begin_(db, "BEGIN"),
      guard_(db, "SELECT 1 FROM member WHERE token = $1 AND NOT fenced FOR SHARE"),
      // Waits for the end of the transaction that is repeated: the server may not know yet that nobody waits for it.
      guard_alone_(db, "SELECT 1 FROM member WHERE token = $1 AND NOT fenced FOR NO KEY UPDATE"),
      enter_(db, "SELECT pg_advisory_xact_lock_shared('directory'::regclass::oid::integer, 0)"),
      enter_alone_(db, "SELECT pg_advisory_xact_lock('directory'::regclass::oid::integer, 0)"),
      // A commit waits for the synchronous standby only if the transaction has written something. The guard's lock on a row
      // is that, also where all the rest turns out to be there already; without a guard it is the lock on this row.
      slotless_(db,
                "SELECT pg_advisory_xact_lock('counter'::regclass::oid::integer, 0) FROM directory"
                " FOR KEY SHARE"),
      state_(db,
             "SELECT d.version, d.batches, coalesce($1, clock_millis()), s.rolled_up FROM directory AS d,"
             " sweep AS s"),
      changes_(db,
               "SELECT version, seq, removed_at IS NOT NULL FROM endpoint WHERE version > $1"
               " ORDER BY version DESC LIMIT " +
                   std::to_string(DirectoryChanges::kMaxRemembered + 1)),
      set_directory_(db, "UPDATE directory SET version = $1, batches = $2"),
      commit_(db, "COMMIT"),
      counter_rows_(db),
      rollup_rows_(db),
      rollup_(rollup_rows_, kLongestTransaction) {}

void Transaction::ask(Pipeline& first, const Batch& batch, const Standing::Now& member) {
  member_ = member;
  // Rows of another slot are not those in memory, and those of kNoSlot are others' as well.
  const int slot = member.token.empty() ? kNoSlot : member.slot;
  if (slot != std::exchange(slot_, slot) || slot == kNoSlot) rollup_.forget();
  counter_rows_.begin(slot);
  rollup_rows_.begin(slot);
  if (member.token.empty()) member_.records.reset();
  repeats_ = batch.repeat;
  committing_ = false;
  counters_ = {};
  facts_.clear();
  elsewhere_.clear();
  facts_.reserve(batch.commands.size());
  actions_.clear();
  std::optional<DirectoryVersion> matched;
  bool alone = false;
  for (const Command* const command : batch.commands) {
    if (const auto at = matched_at(*command)) matched = std::min(matched.value_or(*at), *at);
    alone = alone || needs_the_directory_alone(*command);
  }
  first.add(begin_);
  guard_at_.reset();
  if (!member.token.empty()) {
    guard_at_ = first.size();
    first.add(batch.repeat ? guard_alone_ : guard_, member.token);
  }
  first.add(alone ? enter_alone_ : enter_);
  if (member.token.empty()) first.add(slotless_);
  state_at_ = first.size();
  first.add(state_, clock_ ? std::optional(millis(clock_->wall())) : std::nullopt);
  behind_since_.reset();
  changes_at_.reset();
  if (matched) {
    changes_at_ = first.size();
    first.add(changes_, static_cast<std::int64_t>(*matched));
  }
}

void Transaction::hear(const Pipeline& first) {
  if (guard_at_ && first.rows(*guard_at_).size() == 0) throw Fenced{};
  Cursor state = first.rows(state_at_);
  if (!state.next()) throw CorruptValue("the row of table directory or sweep is missing");
  batches_ = batches_before_ = state.integer(1);
  now_ = state.time(2);
  wall_ = clock_ ? clock_->wall() : system_clock().wall();
  std::vector<DirectoryChanges::Change> changes;
  if (changes_at_) {
    Cursor change = first.rows(*changes_at_);
    changes.reserve(static_cast<std::size_t>(change.size()));
    while (change.next())
      changes.push_back(
          {static_cast<DirectoryVersion>(change.integer(0)), change.integer(1), change.boolean(2)});
  }
  directory_.begin(static_cast<DirectoryVersion>(state.integer(0)), std::move(changes));
  rollup_.begin(now_, state.time(3));
}

void Transaction::ask_commit(Pipeline& last) {
  counter_rows_.ask(last, counters_);
  if (directory_.changed() || batches_ != batches_before_)
    last.add(set_directory_, static_cast<std::int64_t>(directory_.version()), batches_);
  rollup_rows_.ask(last);
  last.add(commit_);
  committing_ = true;
}

bool Transaction::is_stale(DirectoryVersion matched, const std::vector<FirstAttempt>& endpoints) {
  if (directory_.is_behind(matched)) {
    behind_since_ = std::min(behind_since_.value_or(matched), matched);
    return true;
  }
  return directory_.names_removed(matched, endpoints);
}

// Waits were computed as of the begin, and locks and the disk have taken time since.
Facts Transaction::committed() {
  committing_ = false;
  directory_.committed();
  counter_rows_.committed();
  rollup_.committed();
  for (const auto& act : actions_) act();
  const Millis by = (clock_ ? clock_->wall() : system_clock().wall()) - wall_;
  for (Fact& fact : facts_) {
    if (auto* ready = std::get_if<DeliveryReady>(&fact)) ready->delivery.due_in -= by;
    if (auto* outcome = std::get_if<OutcomeRecorded>(&fact); outcome && outcome->due_in)
      *outcome->due_in -= by;
  }
  return std::exchange(facts_, {});
}

}  // namespace outboxd::postgresql
