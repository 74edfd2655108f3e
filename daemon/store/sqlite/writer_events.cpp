// Accepting events and recording what became of their deliveries: the hot path.
#include <unordered_map>

#include "store/sqlite/rows.h"
#include "store/sqlite/writer.h"

namespace outboxd::sqlite {

// What is to become of one event of a command, decided before anything is written.
struct Writer::Fate {
  enum Kind { kStore, kDuplicate, kDuplicateInCommand, kWithdrawn } kind = kStore;
  AcceptedEvent first = {};     // with kDuplicate: the stored one's
  std::size_t first_index = 0;  // with kDuplicateInCommand
};

// Refused when a key was used with other content, here or before. Reads only.
std::optional<Problem> Writer::judge(const AcceptEvents& command, std::vector<Fate>& fates) {
  std::unordered_map<std::string, std::size_t> seen;  // tenant NUL key: the index of its first event
  for (std::size_t i = 0; i < command.events.size(); ++i) {
    const NewEvent& event = command.events[i];
    if (!event.idempotency_key) continue;
    if (event.outbox_row) {
      Cursor row(outbox_row_waits_, *event.outbox_row);
      if (!row.next()) {
        fates[i].kind = Fate::kWithdrawn;
        continue;
      }
    }
    const Event& e = *event.event;
    const auto [before, is_first] = seen.try_emplace(e.tenant + '\0' + *event.idempotency_key, i);
    bool same = true;
    if (!is_first) {
      const std::size_t first = before->second;
      same = command.events[first].content_digest == event.content_digest;
      fates[i] = fates[first];
      if (fates[i].kind == Fate::kStore) fates[i] = {Fate::kDuplicateInCommand, {}, first};
    } else {
      Cursor row(find_idempotency_, e.tenant, *event.idempotency_key, millis(e.created_at));
      if (row.next()) {
        same = row.view(0) == event.content_digest;
        fates[i] = {
            Fate::kDuplicate, {EventId{read_uuid(row.view(1))}, row.time(2), row.integer(3), true, false}, 0};
      }
    }
    if (!same) {
      return Problem{ProblemCode::kIdempotencyConflict,
                     "the idempotency key was used before with other content",
                     {{"/" + std::to_string(i), "same idempotency key, other content"}}};
    }
  }
  return std::nullopt;
}

void Writer::forget_removed(std::vector<FirstAttempt>& endpoints) const {
  if (removed_.empty()) return;
  std::erase_if(endpoints, [this](const FirstAttempt& first) { return removed_.contains(first.endpoint); });
}

void Writer::insert_delivery(Statement& insert, const Event& e, FirstAttempt& first) {
  const auto order_key = order_key_of(first.ordering, e.ordering_key);
  first.behind = place({e.seq, first.endpoint}, order_key).behind;
  insert.run(e.seq, first.endpoint, due_millis(first.due_at, e.created_at), e.priority, order_key,
             first.behind ? 1 : 0, millis(e.created_at), millis(e.expires_at));
}

void Writer::insert(NewEvent& accepted, Millis idempotency_window) {
  Event& e = *accepted.event;
  const std::size_t matching = accepted.endpoints.size();
  forget_removed(accepted.endpoints);
  const auto made = static_cast<std::int64_t>(accepted.endpoints.size());
  if (!accepted.more_after) accepted.deliveries = static_cast<std::int64_t>(matching);
  accepted.deliveries -= static_cast<std::int64_t>(matching) - made;
  e.seq = ++now_.event_seq;
  const auto headers = encode_headers(e.headers);
  insert_event_.run(e.seq, as_blob(e.id.uuid), e.tenant, e.type, Blob{e.payload}, e.content_type,
                    e.ordering_key, e.priority, headers, e.traceparent, millis(e.created_at),
                    millis(e.deliver_at), millis(e.expires_at), accepted.deliveries);
  for (FirstAttempt& first : accepted.endpoints) insert_delivery(insert_delivery_, e, first);
  if (accepted.more_after) {
    accepted.more_until = now_.endpoint_seq;
    insert_fan_out_.run(e.seq, *accepted.more_after, accepted.more_until);
  }
  if (accepted.idempotency_key) {
    put_idempotency_.run(e.tenant, *accepted.idempotency_key, e.seq, Blob{accepted.content_digest},
                         millis(e.created_at + idempotency_window));
  }
  ++now_.events;
  now_.pending += made;
}

void Writer::execute(AcceptEvents& command, Write& write) {
  command.accepted.clear();
  std::vector<Fate> fates(command.events.size());
  write.refused = judge(command, fates);
  if (write.refused) return;
  command.accepted.reserve(command.events.size());
  for (std::size_t i = 0; i < command.events.size(); ++i) {
    NewEvent& event = command.events[i];
    Fate& fate = fates[i];
    if (event.outbox_row && fate.kind != Fate::kWithdrawn) {
      delete_outbox_row_.run(*event.outbox_row);
      if (delete_outbox_row_.changes() == 0) fate.kind = Fate::kWithdrawn;
      number_anew(*event.outbox_row);
    }
    AcceptedEvent answer;
    switch (fate.kind) {
      case Fate::kStore:
        insert(event, command.idempotency_window);
        answer = {event.event->id, event.event->created_at, event.deliveries, false, false};
        break;
      case Fate::kDuplicate:
        answer = fate.first;
        break;
      case Fate::kDuplicateInCommand:
        answer = command.accepted[fate.first_index];
        answer.duplicate = true;
        break;
      case Fate::kWithdrawn:
        answer.withdrawn = true;
        break;
    }
    command.accepted.push_back(answer);
  }
}

void Writer::execute(ExpandEvent& command, Write&) {
  command.made.clear();
  forget_removed(command.endpoints);
  const Event& e = *command.event;
  for (FirstAttempt& first : command.endpoints) {
    // One that is there must not be given a place in the order.
    if (first.ordering != Ordering::kNone && find_delivery({e.seq, first.endpoint})) continue;
    insert_delivery(insert_delivery_unless_there_, e, first);
    if (insert_delivery_unless_there_.changes() > 0) command.made.push_back(first);
  }
  now_.pending += static_cast<std::int64_t>(command.made.size());
  if (command.more_after) {
    advance_fan_out_.run(e.seq, *command.more_after);
  } else {
    delete_fan_out_.run(e.seq);
    count_event_deliveries_.run(e.seq);
  }
}

void Writer::execute(RejectOutboxRow& command, Write&) {
  reject_outbox_row_.run(command.row, command.reason, millis(command.at));
  number_anew(command.row);
}

// A producer may give its row a number, and after the last one there is SQLite has none for the rows of others: they would
// be told that the database is full.
void Writer::number_anew(std::int64_t outbox_row) {
  constexpr std::int64_t kMost = std::int64_t{1} << 62;
  if (outbox_row < kMost) return;
  const std::string most = std::to_string(kMost);
  db_.execute("UPDATE outbox SET seq = 1 + coalesce((SELECT max(seq) FROM outbox WHERE seq < " + most +
              "), 0) WHERE seq = " + std::to_string(outbox_row));
  db_.execute("UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(seq), 0) FROM outbox WHERE seq < " +
              most + ") WHERE name = 'outbox'");
}

bool Writer::move_pending(Statement& move, const RecordOutcome& command) {
  const auto& attempt = command.attempt;
  const bool pending = command.state == DeliveryState::kPending;
  const bool success = attempt && attempt->outcome == Outcome::kSuccess;
  std::optional<std::string_view> reason, error;
  if (command.reason) reason = to_string(*command.reason);
  if (attempt && !success) error = to_string(attempt->outcome);
  move.run(command.key.event, command.key.endpoint, to_string(command.state), reason,
           pending ? std::optional(due_millis(command.due_at, command.at)) : std::nullopt, attempt ? 1 : 0,
           error, pending ? std::nullopt : std::optional(millis(command.at)), attempt ? 1 : 0,
           attempt ? attempt->number : 0);
  if (move.changes() == 0) return false;
  count_move(DeliveryState::kPending, command.state);
  return true;
}

bool Writer::expires(DeliveryKey key) {
  Cursor row(expires_, key.event, key.endpoint);
  return row.next();
}

void Writer::execute(RecordOutcome& command, Write& write) {
  command.next_in_order.reset();
  command.overruled = command.reason == DeadReason::kExpired && !expires(command.key);
  if (command.overruled) {
    if (!command.attempt) return;
    RecordOutcome kept = command;
    kept.state = DeliveryState::kPending;
    kept.reason.reset();
    return execute(kept, write);
  }
  const auto& attempt = command.attempt;
  bool moved = move_pending(move_pending_, command);
  if (!moved) {
    if (const auto order_key = order_key_of_pending(command.key)) {
      moved = move_pending(move_pending_in_order_, command);
      if (command.state != DeliveryState::kPending)
        command.next_in_order = promote(command.key.endpoint, *order_key);
    }
  }
  if (!moved) {
    count_attempt_.run(command.key.event, command.key.endpoint, attempt ? attempt->number : 0);
    if (count_attempt_.changes() == 0) return;  // there is no such delivery any more
  }
  if (attempt) insert_attempt(command.key, *attempt);
}

void Writer::insert_attempt(DeliveryKey key, const Attempt& a) {
  const auto headers = encode_headers(a.response_headers);
  const auto ms = [](const std::optional<Millis>& d) {
    return d ? std::optional<std::int64_t>(d->count()) : std::nullopt;
  };
  const auto insert = [&](std::int64_t number) {
    insert_attempt_.run(key.event, key.endpoint, number, as_blob(a.id.uuid), millis(a.started_at),
                        ms(a.timings.dns), ms(a.timings.connect), ms(a.timings.tls), ms(a.timings.first_byte),
                        a.timings.total.count(), to_string(a.outcome), a.status, a.error, a.request_line,
                        headers, Blob{a.response_body});
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
