// Accepting events and recording what became of their deliveries: the hot path.
#include <unordered_map>

#include "common/event_checksum.h"
#include "common/words.h"
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
    std::string used_by;  // if it is not the same
    if (!is_first) {
      const std::size_t first = before->second;
      same = command.events[first].content_digest == event.content_digest;
      // A row of the SQL outbox knows no request: its conflict names the event.
      if (!command.events[first].outbox_row)
        used_by = "/" + std::to_string(first) + " of this request";
      else
        used_by =
            (fates[first].kind == Fate::kDuplicate ? fates[first].first.id : command.events[first].event->id)
                .to_string();
      fates[i] = fates[first];
      if (fates[i].kind == Fate::kStore) fates[i] = {Fate::kDuplicateInCommand, {}, first};
    } else {
      Cursor row(find_idempotency_, e.tenant, *event.idempotency_key, millis(e.created_at));
      if (row.next()) {
        same = row.view(0) == event.content_digest;
        used_by = EventId{read_uuid(row.view(1))}.to_string();
        fates[i] = {
            Fate::kDuplicate, {EventId{read_uuid(row.view(1))}, row.time(2), row.integer(3), true, false}, 0};
      }
    }
    if (!same) {
      std::string what = in_quotes(*event.idempotency_key);
      what.append(" was used with other content, by the event ").append(used_by);
      return Problem{ProblemCode::kIdempotencyConflict,
                     "the idempotency key " + what,
                     {{"/" + std::to_string(i), what}}};
    }
  }
  return std::nullopt;
}

// What a stored event is told, and its command with it.
struct Writer::Stored {
  EventSeq seq = 0;
  std::vector<FirstAttempt> made;
  std::int64_t deliveries = 0;
  EndpointSeq more_until = 0;

  void put_into(NewEvent& event) {
    event.event->seq = seq;
    event.endpoints = std::move(made);
    event.deliveries = deliveries;
    event.more_until = more_until;
  }
};

bool Writer::is_removed(EndpointSeq endpoint) const {
  if (removing_.contains(endpoint)) return true;
  return endpoint <= committed_.endpoint_seq && !endpoints_.contains(endpoint);
}

std::vector<FirstAttempt> Writer::without_removed(const std::vector<FirstAttempt>& endpoints) const {
  std::vector<FirstAttempt> left;
  left.reserve(endpoints.size());
  for (const FirstAttempt& first : endpoints) {
    if (!is_removed(first.endpoint)) left.push_back(first);
  }
  return left;
}

void Writer::insert_delivery(Statement& insert, const Event& e, EventSeq seq, FirstAttempt& first) {
  const auto order_key = order_key_of(first.ordering, e.ordering_key);
  first.behind = place({seq, first.endpoint}, order_key).behind;
  insert.run(seq, first.endpoint, due_millis(first.due_at, e.created_at), e.priority, order_key,
             first.behind ? 1 : 0, millis(e.created_at), millis(e.expires_at));
}

Writer::Stored Writer::insert(const NewEvent& accepted, Millis idempotency_window) {
  const Event& e = *accepted.event;
  Stored stored{.seq = ++now_.event_seq, .made = without_removed(accepted.endpoints)};
  const auto made = static_cast<std::int64_t>(stored.made.size());
  const auto matching = static_cast<std::int64_t>(accepted.endpoints.size());
  stored.deliveries = accepted.more_after ? accepted.deliveries - (matching - made) : made;
  const auto headers = encode_headers(e.headers);
  insert_event_.run(stored.seq, as_blob(e.id.uuid), e.tenant, e.type, Blob{e.payload}, e.content_type,
                    e.ordering_key, e.priority, headers, e.traceparent, millis(e.created_at),
                    millis(e.deliver_at), millis(e.expires_at), stored.deliveries,
                    event_checksum(e, stored.seq));
  for (FirstAttempt& first : stored.made) insert_delivery(insert_delivery_, e, stored.seq, first);
  if (accepted.more_after) {
    stored.more_until = now_.endpoint_seq;
    insert_fan_out_.run(stored.seq, *accepted.more_after, stored.more_until);
  }
  if (accepted.idempotency_key) {
    put_idempotency_.run(e.tenant, *accepted.idempotency_key, stored.seq, Blob{accepted.content_digest},
                         millis(e.created_at + idempotency_window));
  }
  ++now_.events;
  now_.pending += made;
  return stored;
}

void Writer::execute(const AcceptEvents& command) {
  std::vector<Fate> fates(command.events.size());
  if (auto refused = judge(command, fates)) return refuse(std::move(*refused));
  std::vector<AcceptedEvent> accepted;
  accepted.reserve(command.events.size());
  std::vector<Stored> stored(command.events.size());  // seq 0: was not
  for (std::size_t i = 0; i < command.events.size(); ++i) {
    const NewEvent& event = command.events[i];
    Fate& fate = fates[i];
    if (event.outbox_row && fate.kind != Fate::kWithdrawn) {
      delete_outbox_row_.run(*event.outbox_row);
      if (delete_outbox_row_.changes() == 0) fate.kind = Fate::kWithdrawn;
      number_anew(*event.outbox_row);
    }
    AcceptedEvent one;
    switch (fate.kind) {
      case Fate::kStore:
        stored[i] = insert(event, command.idempotency_window);
        one = {event.event->id, event.event->created_at, stored[i].deliveries, false, false};
        break;
      case Fate::kDuplicate:
        one = fate.first;
        break;
      case Fate::kDuplicateInCommand:
        one = accepted[fate.first_index];
        one.duplicate = true;
        break;
      case Fate::kWithdrawn:
        one.withdrawn = true;
        break;
    }
    accepted.push_back(one);
  }
  answer<AcceptEvents>(
      [accepted = std::move(accepted), stored = std::move(stored)](AcceptEvents& done) mutable {
        done.accepted = std::move(accepted);
        for (std::size_t i = 0; i < stored.size(); ++i) {
          if (stored[i].seq != 0) stored[i].put_into(done.events[i]);
        }
      });
}

void Writer::execute(const AnnounceEvent& command) {
  answer<AnnounceEvent>([stored = insert(command.event, Millis(0))](AnnounceEvent& done) mutable {
    stored.put_into(done.event);
  });
}

void Writer::execute(const ExpandEvent& command) {
  const Event& e = *command.event;
  std::vector<FirstAttempt> made;
  for (FirstAttempt& first : without_removed(command.endpoints)) {
    // One that is there must not be given a place in the order.
    if (first.ordering != Ordering::kNone && find_delivery({e.seq, first.endpoint})) continue;
    insert_delivery(insert_delivery_unless_there_, e, e.seq, first);
    if (insert_delivery_unless_there_.changes() > 0) made.push_back(first);
  }
  now_.pending += static_cast<std::int64_t>(made.size());
  answer<ExpandEvent>([made = std::move(made)](ExpandEvent& done) mutable { done.made = std::move(made); });
  if (command.more_after) {
    advance_fan_out_.run(e.seq, *command.more_after);
  } else {
    delete_fan_out_.run(e.seq);
    count_event_deliveries_.run(e.seq);
  }
}

void Writer::execute(const RejectOutboxRow& command) {
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

void Writer::execute(const RecordOutcome& command) {
  if (command.reason == DeadReason::kExpired && !expires(command.key)) {
    answer<RecordOutcome>([](RecordOutcome& done) { done.overruled = true; });
    if (!command.attempt) return;
    RecordOutcome kept = command;
    kept.state = DeliveryState::kPending;
    kept.reason.reset();
    return execute(kept);
  }
  const auto& attempt = command.attempt;
  bool moved = move_pending(move_pending_, command);
  if (!moved) {
    if (const auto order_key = order_key_of_pending(command.key)) {
      moved = move_pending(move_pending_in_order_, command);
      if (command.state != DeliveryState::kPending) {
        answer<RecordOutcome>([next = promote(command.key.endpoint, *order_key)](RecordOutcome& done) {
          done.next_in_order = next;
        });
      }
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
