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

void Writer::insert(NewEvent& accepted, Millis idempotency_window) {
  Event& e = *accepted.event;
  if (!removed_.empty())
    std::erase_if(accepted.endpoints,
                  [this](const FirstAttempt& first) { return removed_.contains(first.endpoint); });
  e.seq = ++now_.event_seq;
  const auto headers = encode_headers(e.headers);
  const auto count = static_cast<std::int64_t>(accepted.endpoints.size());
  insert_event_.run(e.seq, as_blob(e.id.uuid), e.tenant, e.type, Blob{e.payload}, e.content_type,
                    e.ordering_key, e.priority, headers, e.traceparent, millis(e.created_at),
                    millis(e.deliver_at), millis(e.expires_at), count);
  for (const auto& [endpoint, due_at] : accepted.endpoints) {
    insert_delivery_.run(e.seq, endpoint, millis(due_at), e.priority, e.ordering_key, millis(e.created_at));
  }
  if (accepted.idempotency_key) {
    put_idempotency_.run(e.tenant, *accepted.idempotency_key, e.seq, Blob{accepted.content_digest},
                         millis(e.created_at + idempotency_window));
  }
  ++now_.events;
  now_.pending += count;
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
    }
    AcceptedEvent answer;
    switch (fate.kind) {
      case Fate::kStore:
        insert(event, command.idempotency_window);
        answer = {event.event->id, event.event->created_at, static_cast<std::int64_t>(event.endpoints.size()),
                  false, false};
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

void Writer::execute(RejectOutboxRow& command, Write&) {
  reject_outbox_row_.run(command.row, command.reason);
}

void Writer::execute(RecordOutcome& command, Write&) {
  const auto& attempt = command.attempt;
  const bool pending = command.state == DeliveryState::kPending;
  const bool success = attempt && attempt->outcome == Outcome::kSuccess;
  std::optional<std::string_view> reason, error;
  if (command.reason) reason = to_string(*command.reason);
  if (attempt && !success) error = to_string(attempt->outcome);
  move_pending_.run(command.key.event, command.key.endpoint, to_string(command.state), reason,
                    pending ? std::optional(millis(command.due_at)) : std::nullopt, attempt ? 1 : 0, error,
                    pending ? std::nullopt : std::optional(millis(command.at)), attempt ? 1 : 0,
                    attempt ? attempt->number : 0);
  if (move_pending_.changes() > 0) {
    --now_.pending;
    ++now_.of(command.state);
  } else {
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
