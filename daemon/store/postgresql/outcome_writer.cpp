#include "store/postgresql/outcome_writer.h"

#include <algorithm>
#include <utility>

#include "common/json.h"
#include "store/column_values.h"
#include "store/postgresql/columns.h"
#include "store/postgresql/outcome_statements.h"
#include "store/rows.h"

namespace outboxd::postgresql {

// What the delivery is to become.
struct OutcomeWriter::Verdict {
  DeliveryState state = DeliveryState::kPending;
  std::optional<DeadReason> reason = {};
};

OutcomeWriter::OutcomeWriter(Connection& db, RunOrders& orders, PendingRows& pending)
    : orders_(orders),
      pending_(pending),
      take_pending_(db, sql::kTakePending),
      find_attempts_(db, sql::kFindAttempts),
      find_finished_(db, sql::kFinishedOfMany),
      insert_finished_(db, sql::kInsertFinished),
      insert_attempts_(db, sql::kInsertAttempts),
      count_attempts_(db, sql::kCountAttempts) {}

void OutcomeWriter::expect(const RecordOutcome& command) {
  expected_.push_back(&command);
  known_.try_emplace(command.key);
}

void OutcomeWriter::ask(Pipeline& pipeline, bool repeats) {
  if (expected_.empty()) return;
  taken_at_ = pipeline.size();
  pipeline.add(take_pending_, column<std::int64_t>(known_, [](const auto& k) { return k.first.event; }),
               column<std::int64_t>(known_, [](const auto& k) { return k.first.endpoint; }));
  if (!repeats) return;
  attempts_at_ = pipeline.size();
  pipeline.add(
      find_attempts_, column<std::int64_t>(expected_, [](const RecordOutcome* c) { return c->key.event; }),
      column<std::int64_t>(expected_, [](const RecordOutcome* c) { return c->key.endpoint; }),
      column<Uuid>(expected_,
                   [](const RecordOutcome* c) { return c->attempt ? c->attempt->id.uuid : Uuid{}; }));
}

void OutcomeWriter::hear(const Pipeline& pipeline) {
  if (taken_at_) {
    for (Cursor row = pipeline.rows(*taken_at_); row.next();) {
      PendingRow taken = read_pending(row);
      if (taken.sequence_key) orders_.expect({taken.key.endpoint, *taken.sequence_key});
      const DeliveryKey key = taken.key;
      known_[key].pending = std::move(taken);
    }
  }
  if (attempts_at_) {
    for (Cursor row = pipeline.rows(*attempts_at_); row.next();)
      recorded_before_.push_back(expected_.at(static_cast<std::size_t>(row.integer(0)) - 1));
    std::sort(recorded_before_.begin(), recorded_before_.end());
  }
}

void OutcomeWriter::ask_finished(Pipeline& pipeline) {
  std::vector<std::int64_t> events, endpoints;
  for (const auto& [key, known] : known_) {
    if (known.pending) continue;
    events.push_back(key.event);
    endpoints.push_back(key.endpoint);
  }
  if (events.empty()) return;
  finished_at_ = pipeline.size();
  pipeline.add(find_finished_, events, endpoints);
}

void OutcomeWriter::hear_finished(const Pipeline& pipeline) {
  // The orders have been looked up by now, so that those who were taken out of them have their place there again.
  for (const auto& [key, known] : known_) {
    if (known.pending && known.pending->sequence_key)
      orders_.add(key.event, {key.endpoint, *known.pending->sequence_key});
  }
  if (!finished_at_) return;
  for (Cursor row = pipeline.rows(*finished_at_); row.next();) {
    Finished finished{.day = row.number(2), .state = read_state(row.view(3)), .attempts_ever = row.number(5)};
    if (!row.is_null(4)) finished.reason = word(parse_dead_reason(row.view(4)), "finished.reason");
    known_[{row.integer(0), row.integer(1)}].finished = finished;
  }
}

// An outcome without an attempt that leaves the delivery pending has left no trace, but postponing it again changes
// nothing.
bool OutcomeWriter::was_recorded(const RecordOutcome& command, const Known& known) const {
  if (command.attempt) return std::binary_search(recorded_before_.begin(), recorded_before_.end(), &command);
  if (command.state == DeliveryState::kPending || known.pending) return false;
  return known.finished && known.finished->state == command.state;
}

bool OutcomeWriter::move(const RecordOutcome& command, const Verdict& verdict, Known& known,
                         OutcomeRecorded& fact, Transaction& transaction) {
  if (!known.pending) return false;
  PendingRow& row = *known.pending;
  if (const Attempt* attempt = command.attempt.get()) {
    ++row.attempts;
    row.attempts_ever = std::max(row.attempts_ever, attempt->number);
    row.error.reset();
    if (attempt->outcome != Outcome::kSuccess) row.error = to_string(attempt->outcome);
  }
  fact.now = {.state = verdict.state, .reason = verdict.reason, .due_at = {}, .moved = true};
  if (verdict.state == DeliveryState::kPending) {
    // Never an earlier due time: batches walk along it.
    row.due_at = std::max(row.due_at, transaction.due_millis(command.at + command.due_in, command.at));
    const Time due = from_unix_millis(row.due_at);
    fact.now.due_at = due - transaction.ahead();
    fact.due_in = transaction.due_in(due);
    return true;
  }
  row.after_batch = transaction.batches();
  transaction.counters().move(command.key.endpoint, row.day, DeliveryState::kPending, verdict.state);
  known.finished = Finished{
      .day = row.day, .state = verdict.state, .reason = verdict.reason, .attempts_ever = row.attempts_ever};
  finished_.push_back({std::move(row), verdict.state, verdict.reason, millis(command.at)});
  known.pending.reset();
  return true;
}

// The number may be taken (an attempt was under way while an operator replayed), but no attempt may be lost for that.
// `ever_before`: the last number before this outcome.
bool OutcomeWriter::add_attempt(const RecordOutcome& command, bool moved, Known& known, int ever_before,
                                const Transaction& transaction) {
  if (!known.pending && !known.finished) return false;
  const int number = command.attempt->number > ever_before ? command.attempt->number : ever_before + 1;
  int day = 0;
  if (known.pending) {
    day = known.pending->day;
    known.pending->attempts_ever = std::max(known.pending->attempts_ever, number);
  } else {
    Finished& finished = *known.finished;
    day = finished.day;
    finished.attempts_ever = std::max(finished.attempts_ever, number);
    // Its row is still to be inserted, or is there since before.
    if (moved) {
      finished_.back().was.attempts_ever = finished.attempts_ever;
    } else {
      finished.changed = true;
    }
  }
  attempts_.push_back({command.attempt.get(), command.key, day, number, transaction.batches()});
  return true;
}

// A delivery that no longer exists counts as discarded: nothing can be done with it either way.
void OutcomeWriter::read_standing(OutcomeRecorded& fact, const Known& known,
                                  const Transaction& transaction) const {
  if (!known.pending) {
    fact.now.state = known.finished ? known.finished->state : DeliveryState::kDiscarded;
    fact.now.reason = known.finished ? known.finished->reason : std::nullopt;
    return;
  }
  const Time due = from_unix_millis(known.pending->due_at);
  fact.now.state = DeliveryState::kPending;
  fact.now.reason.reset();
  fact.now.due_at = due - transaction.ahead();
  fact.due_in = transaction.due_in(due);
}

// On a repeat, an attempt that is already stored is not counted again, and its delivery is moved only if a repeated
// command before this one has put it back to pending. The next delivery in its order may not have been announced the
// first time, so it is announced again.
Result<Recorded> OutcomeWriter::execute(const RecordOutcome& command, Transaction& transaction) {
  OutcomeRecorded fact{
      .key = command.key, .at = command.at, .attempt = command.attempt, .subject = command.subject};
  Known& known = known_.at(command.key);
  const auto order = known.pending ? known.pending->sequence_key : std::nullopt;
  const int ever_before = known.pending    ? known.pending->attempts_ever
                          : known.finished ? known.finished->attempts_ever
                                           : 0;
  // An operator's replay lifts the expiry, even if the delivery was found expired before that.
  const bool overruled =
      command.reason == DeadReason::kExpired && !(known.pending && known.pending->expires_at);
  const Verdict verdict = overruled ? Verdict{} : Verdict{command.state, command.reason};
  const bool again = transaction.repeats() && was_recorded(command, known);
  const bool keeps_still =
      (overruled && !command.attempt) || (again && verdict.state == DeliveryState::kPending);
  const bool moved = !keeps_still && move(command, verdict, known, fact, transaction);
  const bool attempted =
      command.attempt && !again && add_attempt(command, moved, known, ever_before, transaction);
  if (!again) {
    const Verdict became = moved ? verdict : Verdict{};
    transaction.rollup().outcome_recorded(command, attempted, became.state, became.reason);
  }
  if (!moved || overruled) {
    read_standing(fact, known, transaction);
    fact.now.moved = again && fact.now.state == command.state && fact.now.reason == command.reason;
  }
  fact.promoted = again;
  const Recorded now = fact.now;
  const std::size_t told = transaction.tell_outcome(std::move(fact));
  if (order && !known.pending) orders_.remove(command.key.event, {command.key.endpoint, *order}, told);
  return now;
}

void OutcomeWriter::write_finished(Pipeline& pipeline) {
  using MaybeText = std::optional<std::string_view>;
  using Row = FinishedRow;
  if (!finished_.empty()) {
    const auto integers = [this](auto get) { return column<std::int64_t>(finished_, get); };
    pipeline.add(
        insert_finished_, integers([](const Row& r) { return r.was.key.event; }),
        integers([](const Row& r) { return r.was.key.endpoint; }),
        integers([](const Row& r) { return r.was.day; }),
        column<std::string_view>(finished_, [](const Row& r) { return to_string(r.state); }),
        column<MaybeText>(
            finished_, [](const Row& r) { return r.reason ? MaybeText(to_string(*r.reason)) : MaybeText(); }),
        integers([](const Row& r) { return r.was.attempts; }),
        integers([](const Row& r) { return r.was.attempts_ever; }),
        integers([](const Row& r) { return r.was.due_at; }),
        integers([](const Row& r) { return r.was.priority; }),
        column<MaybeText>(finished_, [](const Row& r) { return MaybeText(r.was.error); }),
        integers([](const Row& r) { return r.was.created_at; }),
        integers([](const Row& r) { return r.finished_at; }),
        integers([](const Row& r) { return r.was.after_batch; }));
  }
  std::vector<std::int64_t> events, endpoints, days, numbers;
  for (const auto& [key, known] : known_) {
    if (known.pending) pending_.add(*known.pending);
    if (!known.finished || !known.finished->changed) continue;
    events.push_back(key.event);
    endpoints.push_back(key.endpoint);
    days.push_back(known.finished->day);
    numbers.push_back(known.finished->attempts_ever);
  }
  if (!events.empty()) pipeline.add(count_attempts_, events, endpoints, days, numbers);
}

void OutcomeWriter::write_attempts(Pipeline& pipeline) {
  if (attempts_.empty()) return;
  using Text = std::string;
  using MaybeInteger = std::optional<std::int64_t>;
  using Row = AttemptRow;
  const auto integers = [this](auto get) { return column<std::int64_t>(attempts_, get); };
  // Text from outside may be anything, but PostgreSQL takes only UTF-8, without a zero.
  const auto texts = [this](auto get) {
    return column<Text>(attempts_, [&get](const Row& r) {
      Text text = valid_utf8(get(*r.attempt));
      std::erase(text, '\0');
      return text;
    });
  };
  const auto durations = [this](auto get) {
    return column<MaybeInteger>(attempts_, [&get](const Row& r) {
      const std::optional<Millis>& d = get(r.attempt->timings);
      return d ? MaybeInteger(d->count()) : std::nullopt;
    });
  };
  pipeline.add(
      insert_attempts_, integers([](const Row& r) { return r.key.event; }),
      integers([](const Row& r) { return r.key.endpoint; }), integers([](const Row& r) { return r.day; }),
      integers([](const Row& r) { return r.number; }),
      column<Uuid>(attempts_, [](const Row& r) { return r.attempt->id.uuid; }),
      integers([](const Row& r) { return millis(r.attempt->started_at); }),
      durations([](const AttemptTimings& t) -> const auto& { return t.dns; }),
      durations([](const AttemptTimings& t) -> const auto& { return t.connect; }),
      durations([](const AttemptTimings& t) -> const auto& { return t.tls; }),
      durations([](const AttemptTimings& t) -> const auto& { return t.first_byte; }),
      integers([](const Row& r) { return r.attempt->timings.total.count(); }),
      column<std::string_view>(attempts_, [](const Row& r) { return to_string(r.attempt->outcome); }),
      integers([](const Row& r) { return r.attempt->status; }),
      texts([](const Attempt& a) -> const auto& { return a.error; }),
      texts([](const Attempt& a) -> const auto& { return a.request_line; }),
      column<std::optional<Text>>(attempts_,
                                  [](const Row& r) { return encode_headers(r.attempt->response_headers); }),
      column<Bytes>(attempts_, [](const Row& r) { return Bytes{r.attempt->response_body}; }),
      column<std::optional<std::string_view>>(attempts_,
                                              [](const Row& r) {
                                                const std::string& address = r.attempt->remote_address;
                                                return address.empty()
                                                           ? std::nullopt
                                                           : std::optional<std::string_view>(address);
                                              }),
      column<bool>(attempts_, [](const Row& r) { return r.attempt->resent; }),
      integers([](const Row& r) { return r.after_batch; }));
}

void OutcomeWriter::write(Pipeline& pipeline) {
  write_finished(pipeline);
  write_attempts(pipeline);
}

void OutcomeWriter::end_run() {
  expected_.clear();
  known_.clear();
  recorded_before_.clear();
  taken_at_.reset();
  attempts_at_.reset();
  finished_at_.reset();
  finished_.clear();
  attempts_.clear();
}

}  // namespace outboxd::postgresql
