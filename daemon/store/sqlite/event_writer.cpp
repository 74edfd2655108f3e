#include "store/sqlite/event_writer.h"

#include <string>
#include <unordered_map>

#include "common/event_checksum.h"
#include "common/words.h"
#include "store/sqlite/rows.h"

namespace outboxd::sqlite {
namespace {

std::vector<FirstAttempt> without_removed(const std::vector<FirstAttempt>& endpoints,
                                          const Transaction& transaction) {
  std::vector<FirstAttempt> left;
  left.reserve(endpoints.size());
  for (const FirstAttempt& first : endpoints) {
    if (!transaction.is_removed(first.endpoint)) left.push_back(first);
  }
  return left;
}

}  // namespace

// What is to become of one event of a command, decided before anything is written.
struct EventWriter::Disposition {
  enum Kind { kStore, kDuplicate, kDuplicateInCommand, kRowDeleted } kind = kStore;
  AcceptedEvent first = {};     // with kDuplicate: the stored one's
  std::size_t first_index = 0;  // with kDuplicateInCommand
};

// What a stored event is told, and its command with it.
struct EventWriter::Stored {
  EventSeq seq = 0;  // 0: it was not stored
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

// Refused when a key was used with other content, here or before. Reads only.
std::optional<Problem> EventWriter::check_idempotency(const AcceptEvents& command,
                                                      std::vector<Disposition>& dispositions) {
  std::unordered_map<std::string, std::size_t> seen;  // tenant NUL key: the index of its first event
  for (std::size_t i = 0; i < command.events.size(); ++i) {
    const NewEvent& event = command.events[i];
    if (!event.idempotency_key) continue;
    if (event.outbox_row && !outbox_row_waits(*event.outbox_row)) {
      dispositions[i].kind = Disposition::kRowDeleted;
      continue;
    }
    const auto [first, is_first] = seen.try_emplace(event.event->tenant + '\0' + *event.idempotency_key, i);
    const auto used_by = is_first ? find_stored(event, dispositions[i])
                                  : find_in_command(command, first->second, i, dispositions);
    if (used_by) {
      std::string what = in_quotes(*event.idempotency_key);
      what.append(" was used with other content, by the event ").append(*used_by);
      return Problem{ProblemCode::kIdempotencyConflict,
                     "the idempotency key " + what,
                     {{"/" + std::to_string(i), what}}};
    }
  }
  return std::nullopt;
}

std::optional<std::string> EventWriter::find_stored(const NewEvent& event, Disposition& disposition) {
  Cursor row(find_idempotency_, event.event->tenant, *event.idempotency_key, millis(event.event->created_at));
  if (!row.next()) return std::nullopt;
  const EventId id{read_uuid(row.view(1))};
  disposition = {Disposition::kDuplicate, {id, row.time(2), row.integer(3), true, false}, 0};
  if (row.view(0) == event.content_digest) return std::nullopt;
  return id.to_string();
}

std::optional<std::string> EventWriter::find_in_command(const AcceptEvents& command, std::size_t first,
                                                        std::size_t i,
                                                        std::vector<Disposition>& dispositions) {
  const NewEvent& earlier = command.events[first];
  const Disposition& before = dispositions[first];
  dispositions[i] =
      before.kind == Disposition::kStore ? Disposition{Disposition::kDuplicateInCommand, {}, first} : before;
  if (earlier.content_digest == command.events[i].content_digest) return std::nullopt;
  // A row of the SQL outbox knows no request: its conflict names the event.
  if (!earlier.outbox_row) return "/" + std::to_string(first) + " of this request";
  return (before.kind == Disposition::kDuplicate ? before.first.id : earlier.event->id).to_string();
}

bool EventWriter::outbox_row_waits(std::int64_t outbox_row) {
  Cursor row(outbox_row_waits_, outbox_row);
  return row.next();
}

bool EventWriter::delete_outbox_row(std::int64_t outbox_row) {
  delete_outbox_row_.run(outbox_row);
  const bool deleted = delete_outbox_row_.changes() > 0;
  renumber(outbox_row);
  return deleted;
}

void EventWriter::insert_delivery(Statement& insert, const Event& e, EventSeq seq, FirstAttempt& first,
                                  const Transaction& transaction) {
  const auto sequence_key = order_key_of(first.ordering, e.ordering_key);
  first.behind = order_.place({seq, first.endpoint}, sequence_key).blocked;
  insert.run(seq, first.endpoint, transaction.due_millis(first.due_at, e.created_at), e.priority,
             sequence_key, first.behind ? 1 : 0, millis(e.created_at), millis(e.expires_at));
}

EventWriter::Stored EventWriter::insert(const NewEvent& accepted, Millis idempotency_window,
                                        Transaction& transaction) {
  const Event& e = *accepted.event;
  Counters& counters = transaction.counters();
  Stored stored{.seq = ++counters.event_seq, .made = without_removed(accepted.endpoints, transaction)};
  const auto made = static_cast<std::int64_t>(stored.made.size());
  const auto matching = static_cast<std::int64_t>(accepted.endpoints.size());
  stored.deliveries = accepted.more_after ? accepted.deliveries - (matching - made) : made;
  const auto headers = encode_headers(e.headers);
  insert_event_.run(stored.seq, as_blob(e.id.uuid), e.tenant, e.type, Blob{e.payload}, e.content_type,
                    e.ordering_key, e.priority, headers, e.traceparent, millis(e.created_at),
                    millis(e.deliver_at), millis(e.expires_at), stored.deliveries,
                    event_checksum(e, stored.seq));
  for (FirstAttempt& first : stored.made)
    insert_delivery(insert_delivery_, e, stored.seq, first, transaction);
  if (accepted.more_after) {
    stored.more_until = counters.endpoint_seq;
    insert_fan_out_.run(stored.seq, *accepted.more_after, stored.more_until);
  }
  if (accepted.idempotency_key) {
    put_idempotency_.run(e.tenant, *accepted.idempotency_key, stored.seq, Blob{accepted.content_digest},
                         millis(e.created_at + idempotency_window));
  }
  ++counters.events;
  counters.pending += made;
  return stored;
}

void EventWriter::execute(const AcceptEvents& command, Transaction& transaction) {
  std::vector<Disposition> dispositions(command.events.size());
  if (auto refused = check_idempotency(command, dispositions)) return transaction.refuse(std::move(*refused));
  std::vector<AcceptedEvent> accepted;
  accepted.reserve(command.events.size());
  std::vector<Stored> stored(command.events.size());
  for (std::size_t i = 0; i < command.events.size(); ++i) {
    const NewEvent& event = command.events[i];
    Disposition& disposition = dispositions[i];
    if (event.outbox_row && disposition.kind != Disposition::kRowDeleted &&
        !delete_outbox_row(*event.outbox_row)) {
      disposition.kind = Disposition::kRowDeleted;
    }
    AcceptedEvent one;
    switch (disposition.kind) {
      case Disposition::kStore:
        stored[i] = insert(event, command.idempotency_window, transaction);
        one = {event.event->id, event.event->created_at, stored[i].deliveries, false, false};
        break;
      case Disposition::kDuplicate:
        one = disposition.first;
        break;
      case Disposition::kDuplicateInCommand:
        one = accepted[disposition.first_index];
        one.duplicate = true;
        break;
      case Disposition::kRowDeleted:
        one.withdrawn = true;
        break;
    }
    accepted.push_back(one);
  }
  transaction.answer<AcceptEvents>(
      [accepted = std::move(accepted), stored = std::move(stored)](AcceptEvents& done) mutable {
        done.accepted = std::move(accepted);
        for (std::size_t i = 0; i < stored.size(); ++i) {
          if (stored[i].seq != 0) stored[i].put_into(done.events[i]);
        }
      });
}

void EventWriter::execute(const AnnounceEvent& command, Transaction& transaction) {
  transaction.answer<AnnounceEvent>([stored = insert(command.event, Millis(0), transaction)](
                                        AnnounceEvent& done) mutable { stored.put_into(done.event); });
}

bool EventWriter::has_delivery(DeliveryKey key) {
  Cursor row(find_delivery_, key.event, key.endpoint);
  return row.next();
}

void EventWriter::execute(const ExpandEvent& command, Transaction& transaction) {
  const Event& e = *command.event;
  std::vector<FirstAttempt> made;
  for (FirstAttempt& first : without_removed(command.endpoints, transaction)) {
    // One that is there must not be given a place in the order.
    if (first.ordering != Ordering::kNone && has_delivery({e.seq, first.endpoint})) continue;
    insert_delivery(insert_delivery_unless_there_, e, e.seq, first, transaction);
    if (insert_delivery_unless_there_.changes() > 0) made.push_back(first);
  }
  transaction.counters().pending += static_cast<std::int64_t>(made.size());
  transaction.answer<ExpandEvent>(
      [made = std::move(made)](ExpandEvent& done) mutable { done.made = std::move(made); });
  if (command.more_after) {
    advance_fan_out_.run(e.seq, *command.more_after);
  } else {
    delete_fan_out_.run(e.seq);
    count_event_deliveries_.run(e.seq);
  }
}

void EventWriter::execute(const RejectOutboxRow& command, Transaction&) {
  reject_outbox_row_.run(command.row, command.reason, millis(command.at));
  renumber(command.row);
}

// A producer may give its row a number, and after the largest one SQLite has none left for the rows of others: they
// would be told that the database is full.
void EventWriter::renumber(std::int64_t outbox_row) {
  constexpr std::int64_t kMax = std::int64_t{1} << 62;
  if (outbox_row < kMax) return;
  const std::string max = std::to_string(kMax);
  db_.execute("UPDATE outbox SET seq = 1 + coalesce((SELECT max(seq) FROM outbox WHERE seq < " + max +
              "), 0) WHERE seq = " + std::to_string(outbox_row));
  db_.execute("UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(seq), 0) FROM outbox WHERE seq < " +
              max + ") WHERE name = 'outbox'");
}

}  // namespace outboxd::sqlite
