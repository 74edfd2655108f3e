#include "store/sqlite/outcome_writer.h"

#include <utility>

#include "store/column_values.h"
#include "store/sqlite/rows.h"

namespace outboxd::sqlite {

// What the delivery is to become.
struct OutcomeWriter::Verdict {
  DeliveryState state = DeliveryState::kPending;
  std::optional<DeadReason> reason = {};
};

bool OutcomeWriter::move_by(Statement& statement, const RecordOutcome& command, const Verdict& verdict,
                            OutcomeRecorded& fact, Transaction& transaction) {
  const auto& attempt = command.attempt;
  const bool success = attempt && attempt->outcome == Outcome::kSuccess;
  std::optional<std::string_view> reason, error;
  if (verdict.reason) reason = to_string(*verdict.reason);
  if (attempt && !success) error = to_string(attempt->outcome);
  std::optional<std::int64_t> due_at, finished_at;
  if (verdict.state == DeliveryState::kPending) {
    due_at = transaction.due_millis(command.at + command.due_in, command.at);
  } else {
    finished_at = millis(command.at);
  }
  statement.run(command.key.event, command.key.endpoint, to_string(verdict.state), reason, due_at,
                attempt ? 1 : 0, error, finished_at, attempt ? 1 : 0, attempt ? attempt->number : 0,
                transaction.counters().batches);
  if (statement.changes() == 0) return false;
  transaction.counters().move(command.key.endpoint, DeliveryState::kPending, verdict.state);
  fact.now = {.state = verdict.state, .reason = verdict.reason, .due_at = {}, .moved = true};
  if (!due_at) return true;
  fact.now.due_at = from_unix_millis(*due_at) - transaction.ahead();
  fact.due_in = transaction.due_in(from_unix_millis(*due_at));
  return true;
}

bool OutcomeWriter::move(const RecordOutcome& command, const Verdict& verdict, OutcomeRecorded& fact,
                         Transaction& transaction) {
  if (move_by(move_pending_, command, verdict, fact, transaction)) return true;
  const auto sequence_key = order_.sequence_key_of_pending(command.key);
  if (!sequence_key || !move_by(move_pending_in_order_, command, verdict, fact, transaction)) return false;
  if (verdict.state != DeliveryState::kPending)
    fact.promoted = order_.promote(command.key.endpoint, *sequence_key);
  return true;
}

bool OutcomeWriter::expires(DeliveryKey key) {
  Cursor row(expires_, key.event, key.endpoint);
  return row.next();
}

// An outcome without an attempt that leaves the delivery pending has left no trace, but postponing it again changes
// nothing.
bool OutcomeWriter::was_recorded(const RecordOutcome& command) {
  const auto& [event, endpoint] = command.key;
  if (command.attempt) {
    Cursor row(find_attempt_, event, endpoint, as_blob(command.attempt->id.uuid));
    return row.next();
  }
  if (command.state == DeliveryState::kPending) return false;
  Cursor row(find_delivery_, event, endpoint);
  return row.next() && read_state(row.view(2)) == command.state;
}

// A delivery that no longer exists counts as discarded: nothing can be done with it either way.
void OutcomeWriter::read_standing(OutcomeRecorded& fact, const Transaction& transaction) {
  Cursor row(find_delivery_, fact.key.event, fact.key.endpoint);
  if (!row.next()) {
    fact.now.state = DeliveryState::kDiscarded;
    return;
  }
  const Delivery delivery = read_delivery(row, transaction.ahead());
  fact.now.state = delivery.state;
  fact.now.reason = delivery.reason;
  if (delivery.state != DeliveryState::kPending) return;
  fact.now.due_at = delivery.due_at;
  fact.due_in = transaction.due_in(row.time(5));
}

// On a repeat, an attempt that is already stored is not counted again, and its delivery is moved only if a repeated
// command before this one has put it back to pending. The next delivery in its order may not have been announced the
// first time, so it is announced again.
Result<Recorded> OutcomeWriter::execute(const RecordOutcome& command, Transaction& transaction) {
  OutcomeRecorded fact{
      .key = command.key, .at = command.at, .attempt = command.attempt, .subject = command.subject};
  // An operator's replay lifts the expiry, even if the delivery was found expired before that.
  const bool overruled = command.reason == DeadReason::kExpired && !expires(command.key);
  const Verdict verdict = overruled ? Verdict{} : Verdict{command.state, command.reason};
  const bool again = transaction.repeats() && was_recorded(command);
  const bool keeps_still =
      (overruled && !command.attempt) || (again && verdict.state == DeliveryState::kPending);
  const bool moved = !keeps_still && move(command, verdict, fact, transaction);
  bool attempted = false;
  if (command.attempt && !again) {
    attempted = moved;
    if (!moved) {
      count_attempt_.run(command.key.event, command.key.endpoint, command.attempt->number);
      attempted = count_attempt_.changes() > 0;
    }
    const std::int64_t after_batch = transaction.counters().batches;
    if (attempted && transaction.gathers_rows()) {
      attempts_.push_back({command.attempt.get(), command.key, after_batch});
    } else if (attempted) {
      insert_attempt(command.key, *command.attempt, after_batch);
    }
  }
  if (!again) {
    const Verdict became = moved ? verdict : Verdict{};
    transaction.rollup().outcome_recorded(command, attempted, became.state, became.reason);
  }
  if (!moved || overruled) {
    read_standing(fact, transaction);
    fact.now.moved = again && fact.now.state == command.state && fact.now.reason == command.reason;
  }
  fact.promoted = fact.promoted || again;
  const Recorded now = fact.now;
  transaction.tell(std::move(fact));
  return now;
}

namespace {

// Calls `bind` with the values of an attempt's row, in the order of sql::kInsertAttempt.
template <class Bind>
void with_values(DeliveryKey key, std::int64_t number, const Attempt& a,
                 const std::optional<std::string>& headers, std::int64_t after_batch, Bind bind) {
  const auto ms = [](const std::optional<Millis>& d) {
    return d ? std::optional<std::int64_t>(d->count()) : std::nullopt;
  };
  const auto or_null = [](const std::string& text) {
    return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
  };
  bind(key.event, key.endpoint, number, as_blob(a.id.uuid), millis(a.started_at), ms(a.timings.dns),
       ms(a.timings.connect), ms(a.timings.tls), ms(a.timings.first_byte), a.timings.total.count(),
       to_string(a.outcome), a.status, a.error, a.request_line, headers, Blob{a.response_body},
       or_null(a.remote_address), a.resent ? 1 : 0, after_batch);
}

}  // namespace

void OutcomeWriter::insert_gathered() {
  std::vector<std::optional<std::string>> headers;  // until they are bound and stored
  headers.reserve(attempts_.size());
  insert_attempts_.insert(attempts_, [&](Statement& insert, int first, const AttemptRow& row) {
    const auto& encoded = headers.emplace_back(encode_headers(row.attempt->response_headers));
    with_values(row.key, row.attempt->number, *row.attempt, encoded, row.after_batch,
                [&](const auto&... values) { insert.bind_from(first, values...); });
  });
  drop_gathered();
}

void OutcomeWriter::drop_gathered() {
  attempts_.clear();
}

void OutcomeWriter::insert_attempt(DeliveryKey key, const Attempt& a, std::int64_t after_batch) {
  const auto headers = encode_headers(a.response_headers);
  const auto insert = [&](std::int64_t number) {
    with_values(key, number, a, headers, after_batch,
                [&](const auto&... values) { insert_attempt_.run(values...); });
    return insert_attempt_.changes() > 0;
  };
  if (insert(a.number)) return;
  // The number may be taken (an attempt was under way while an operator replayed), but no attempt may be lost for that.
  std::int64_t next = 0;
  {
    Cursor row(last_attempt_, key.event, key.endpoint);
    if (row.next()) next = row.integer(0) + 1;
  }
  insert(next);
  count_attempt_.run(key.event, key.endpoint, next);
}

}  // namespace outboxd::sqlite
