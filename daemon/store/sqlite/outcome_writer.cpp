#include "store/sqlite/outcome_writer.h"

#include "store/sqlite/rows.h"

namespace outboxd::sqlite {

bool OutcomeWriter::move_pending(Statement& move, const RecordOutcome& command, Transaction& transaction) {
  const auto& attempt = command.attempt;
  const bool pending = command.state == DeliveryState::kPending;
  const bool success = attempt && attempt->outcome == Outcome::kSuccess;
  std::optional<std::string_view> reason, error;
  if (command.reason) reason = to_string(*command.reason);
  if (attempt && !success) error = to_string(attempt->outcome);
  move.run(command.key.event, command.key.endpoint, to_string(command.state), reason,
           pending ? std::optional(transaction.due_millis(command.due_at, command.at)) : std::nullopt,
           attempt ? 1 : 0, error, pending ? std::nullopt : std::optional(millis(command.at)),
           attempt ? 1 : 0, attempt ? attempt->number : 0);
  if (move.changes() == 0) return false;
  transaction.counters().move(DeliveryState::kPending, command.state);
  return true;
}

bool OutcomeWriter::move_pending_in_order(const RecordOutcome& command, Transaction& transaction) {
  const auto sequence_key = order_.sequence_key_of_pending(command.key);
  if (!sequence_key) return false;
  const bool moved = move_pending(move_pending_in_order_, command, transaction);
  if (command.state != DeliveryState::kPending) {
    transaction.answer<RecordOutcome>(
        [next = order_.promote(command.key.endpoint, *sequence_key, transaction)](RecordOutcome& done) {
          done.next_in_order = next;
        });
  }
  return moved;
}

bool OutcomeWriter::expires(DeliveryKey key) {
  Cursor row(expires_, key.event, key.endpoint);
  return row.next();
}

void OutcomeWriter::execute(const RecordOutcome& command, Transaction& transaction) {
  if (command.reason == DeadReason::kExpired && !expires(command.key)) {
    transaction.answer<RecordOutcome>([](RecordOutcome& done) { done.overruled = true; });
    if (!command.attempt) return;
    RecordOutcome kept = command;
    kept.state = DeliveryState::kPending;
    kept.reason.reset();
    return execute(kept, transaction);
  }
  const auto& attempt = command.attempt;
  if (!move_pending(move_pending_, command, transaction) && !move_pending_in_order(command, transaction)) {
    count_attempt_.run(command.key.event, command.key.endpoint, attempt ? attempt->number : 0);
    if (count_attempt_.changes() == 0) return;  // there is no such delivery any more
  }
  if (attempt) insert_attempt(command.key, *attempt);
}

void OutcomeWriter::insert_attempt(DeliveryKey key, const Attempt& a) {
  const auto headers = encode_headers(a.response_headers);
  const auto ms = [](const std::optional<Millis>& d) {
    return d ? std::optional<std::int64_t>(d->count()) : std::nullopt;
  };
  const auto or_null = [](const std::string& text) {
    return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
  };
  const auto insert = [&](std::int64_t number) {
    insert_attempt_.run(key.event, key.endpoint, number, as_blob(a.id.uuid), millis(a.started_at),
                        ms(a.timings.dns), ms(a.timings.connect), ms(a.timings.tls), ms(a.timings.first_byte),
                        a.timings.total.count(), to_string(a.outcome), a.status, a.error, a.request_line,
                        headers, Blob{a.response_body}, or_null(a.remote_address), a.resent ? 1 : 0);
    return insert_attempt_.changes() > 0;
  };
  if (insert(a.number)) return;
  // The number is taken (an attempt under way while an operator replayed): an attempt is never lost for that.
  std::int64_t next = 0;
  {
    Cursor row(last_attempt_, key.event, key.endpoint);
    if (row.next()) next = row.integer(0) + 1;
  }
  insert(next);
  count_attempt_.run(key.event, key.endpoint, next);
}

}  // namespace outboxd::sqlite
