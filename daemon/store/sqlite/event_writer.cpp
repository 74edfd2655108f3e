#include "store/sqlite/event_writer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/event_checksum.h"
#include "common/words.h"
#include "store/column_values.h"
#include "store/sqlite/rows.h"

namespace outboxd::sqlite {
namespace {

// These endpoints may have something due that was not announced the first time.
void tell_again(const std::vector<FirstAttempt>& endpoints, Transaction& transaction) {
  for (const FirstAttempt& first : endpoints) transaction.tell(DueOnDisk{.endpoint = first.endpoint});
}

}  // namespace

std::optional<KeyUse> EventWriter::find_key_use(const NewEvent& event) {
  Cursor row(find_idempotency_, event.event->tenant, *event.idempotency_key, millis(event.event->created_at));
  if (!row.next()) return std::nullopt;
  return KeyUse{{EventId{read_uuid(row.view(1))}, row.time(2), row.integer(3), true, false},
                row.view(0) == event.content_digest};
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

bool EventWriter::insert_delivery(Statement& insert, const std::shared_ptr<const Event>& event, EventSeq seq,
                                  const FirstAttempt& first, Transaction& transaction) {
  const Event& e = *event;
  const DeliveryKey key{seq, first.endpoint};
  auto sequence_key = sequence_key_of(first.ordering, e.ordering_key);
  const DeliveryOrder::Place place = order_.place(key, sequence_key, transaction);
  const std::int64_t due_at = transaction.due_millis(e.created_at + first.due_in, e.created_at);
  const std::int64_t after_batch = transaction.counters().batches;
  if (transaction.gathers_rows() && &insert == &insert_delivery_ && !sequence_key) {
    deliveries_.push_back({event.get(), key, due_at, after_batch});
  } else {
    insert.run(seq, first.endpoint, due_at, e.priority, sequence_key, place.blocked ? 1 : 0,
               millis(e.created_at), millis(e.expires_at), after_batch);
    if (insert.changes() == 0) return false;
  }
  transaction.counters().add(key.endpoint, DeliveryState::kPending, 1);
  transaction.rollup().delivery_accepted(first.endpoint, e.type);
  if (place.demoted) transaction.tell(DeliveryWithdrawn{*place.demoted});
  if (place.blocked) return true;
  transaction.tell(DeliveryReady{{.key = key,
                                  .due_at = from_unix_millis(due_at),
                                  .due_in = transaction.due_in(from_unix_millis(due_at)),
                                  .created_at = e.created_at,
                                  .sequence_key = std::move(sequence_key),
                                  .expires_at = e.expires_at,
                                  .event = event}});
  return true;
}

void EventWriter::insert_gathered() {
  std::vector<std::optional<std::string>> headers;  // until they are bound and stored
  headers.reserve(events_.size());
  insert_events_.insert(events_, [&](Statement& insert, int first, const EventRow& row) {
    const Event& e = *row.event;
    insert.bind_from(first, row.seq, as_blob(e.id.uuid), e.tenant, e.type, Blob{e.payload}, e.content_type,
                     e.ordering_key, e.priority, headers.emplace_back(encode_headers(e.headers)),
                     e.traceparent, e.cloud_event, millis(e.created_at), millis(e.deliver_at),
                     millis(e.expires_at), row.deliveries, event_checksum(e, row.seq));
  });
  insert_deliveries_.insert(deliveries_, [](Statement& insert, int first, const DeliveryRow& row) {
    const Event& e = *row.event;
    insert.bind_from(first, row.key.event, row.key.endpoint, row.due_at, e.priority, std::nullopt, 0,
                     millis(e.created_at), millis(e.expires_at), row.after_batch);
  });
  drop_gathered();
}

void EventWriter::drop_gathered() {
  events_.clear();
  deliveries_.clear();
}

AcceptedEvent EventWriter::insert(const NewEvent& accepted, Millis idempotency_window,
                                  Transaction& transaction) {
  const std::shared_ptr<const Event> event = accepted.event;
  const Event& e = *event;
  Counters& counters = transaction.counters();
  const EventSeq seq = ++counters.event_seq;
  const auto made = static_cast<std::int64_t>(accepted.endpoints.size());
  const std::int64_t deliveries = accepted.more_after ? accepted.deliveries : made;
  events_.push_back({event.get(), seq, deliveries});
  if (!transaction.gathers_rows()) insert_gathered();
  ++counters.events;
  transaction.rollup().event_accepted();
  transaction.when_committed([numbered = accepted.event.get(), seq] { numbered->seq = seq; });
  for (const FirstAttempt& first : accepted.endpoints)
    insert_delivery(insert_delivery_, event, seq, first, transaction);
  if (accepted.more_after) {
    insert_fan_out_.run(seq, *accepted.more_after, counters.endpoint_seq);
    transaction.tell(FanOutWaits{std::make_shared<const UnfinishedFanOut>(
        UnfinishedFanOut{event, *accepted.more_after, counters.endpoint_seq})});
  }
  if (accepted.idempotency_key) {
    put_idempotency_.run(e.tenant, *accepted.idempotency_key, seq, Blob{accepted.content_digest},
                         millis(e.created_at + idempotency_window));
  }
  return {.id = e.id, .created_at = e.created_at, .deliveries = deliveries};
}

std::optional<AcceptedEvent> EventWriter::find_accepted_before(const NewEvent& event,
                                                               Transaction& transaction) {
  AcceptedEvent found{.id = event.event->id};
  {
    Cursor row(find_accepted_, as_blob(event.event->id.uuid));
    if (!row.next()) return std::nullopt;
    found.created_at = row.time(1);
    found.deliveries = row.integer(2);
    transaction.when_committed([numbered = event.event.get(), seq = row.integer(0)] { numbered->seq = seq; });
  }
  tell_again(event.endpoints, transaction);
  if (event.more_after) transaction.tell(FanOutWaits{});
  return found;
}

// A command is stored as a whole, so finding one of its events means that all were stored. (A duplicate whose outbox
// row was deleted the first time is now answered as if the producer had deleted the row: in both cases nothing was
// stored for it.)
bool EventWriter::find_accepted_before(const AcceptEvents& command, std::vector<Disposition>& dispositions,
                                       Transaction& transaction) {
  bool found = false;
  for (std::size_t i = 0; i < command.events.size(); ++i) {
    const auto before = find_accepted_before(command.events[i], transaction);
    if (!before) continue;
    dispositions[i] = {Disposition::kStoredBefore, *before, 0};
    found = true;
  }
  return found;
}

AcceptedEvent EventWriter::accept(const AcceptEvents& command, std::size_t i, const Disposition& disposition,
                                  const std::vector<AcceptedEvent>& before, Transaction& transaction) {
  const NewEvent& event = command.events[i];
  if (disposition.kind == Disposition::kStoredBefore) return disposition.first;
  if (disposition.kind == Disposition::kRowDeleted ||
      (event.outbox_row && !delete_outbox_row(*event.outbox_row)))
    return {.id = {}, .row_deleted = true};
  if (disposition.kind == Disposition::kDuplicate) return disposition.first;
  if (disposition.kind == Disposition::kStore) return insert(event, command.idempotency_window, transaction);
  AcceptedEvent duplicate = before[disposition.first_index];
  duplicate.duplicate = true;
  return duplicate;
}

std::optional<Problem> EventWriter::check_place(const SourceStep& step, const Transaction& transaction) {
  Cursor row(source_place_, step.source);
  const SourcePlace stored = row.next() ? read_source_place(row) : SourcePlace{};
  if (stored == step.from || (transaction.repeats() && stored == step.to)) return std::nullopt;
  return Problem{ProblemCode::kConflict, "the source " + in_quotes(step.source) + " is at another place", {}};
}

Result<Accepted> EventWriter::execute(const AcceptEvents& command, Transaction& transaction) {
  const auto has_key = [](const NewEvent& event) { return event.idempotency_key.has_value(); };
  if (std::any_of(command.events.begin(), command.events.end(), has_key))
    insert_gathered();  // may be its first use
  std::vector<Disposition> dispositions(command.events.size());
  const bool before = transaction.repeats() && find_accepted_before(command, dispositions, transaction);
  const auto is_stale = [&](const NewEvent& event) {
    return transaction.directory().is_stale(command.matched, event.endpoints);
  };
  if (!before && std::any_of(command.events.begin(), command.events.end(), is_stale))
    return Accepted{.stale = true, .events = {}};
  if (command.source) {
    if (auto refused = check_place(*command.source, transaction)) return tl::unexpected(std::move(*refused));
  }
  const auto find = [this](const NewEvent& event) { return find_key_use(event); };
  const auto waits = [this](std::int64_t outbox_row) { return outbox_row_waits(outbox_row); };
  if (auto refused = check_idempotency(command, dispositions, find, waits))
    return tl::unexpected(std::move(*refused));
  // The payload is stored once, as the event's: what is left of its row would outlive an erasure.
  std::optional<OverwritesDeleted> overwrites;
  if (!command.events.empty() && command.events.front().outbox_row) overwrites.emplace(db_);
  Accepted accepted;
  accepted.events.reserve(command.events.size());
  for (std::size_t i = 0; i < command.events.size(); ++i)
    accepted.events.push_back(accept(command, i, dispositions[i], accepted.events, transaction));
  if (command.source) {
    const SourcePlace& place = command.source->to;
    put_source_place_.run(command.source->source, place.database, place.relayed, place.cleared);
  }
  return accepted;
}

Result<Accepted> EventWriter::execute(const AnnounceEvent& command, Transaction& transaction) {
  const NewEvent& event = *command.event;
  if (transaction.repeats()) {
    if (const auto before = find_accepted_before(event, transaction)) return Accepted{false, {*before}};
  }
  if (transaction.directory().is_stale(command.matched, event.endpoints))
    return Accepted{.stale = true, .events = {}};
  return Accepted{false, {insert(event, Millis(0), transaction)}};
}

bool EventWriter::has_delivery(DeliveryKey key) {
  Cursor row(find_delivery_, key.event, key.endpoint);
  return row.next();
}

// A step can arrive twice: from the same daemon when the result of the first commit was unknown, or from two when one
// has just taken over from the other.
bool EventWriter::was_expanded(const ExpandEvent& command) {
  Cursor row(fan_out_of_, command.event->seq);
  if (!row.next()) return true;
  return command.more_after && row.integer(0) >= *command.more_after;
}

Result<Expanded> EventWriter::execute(const ExpandEvent& command, Transaction& transaction) {
  const Event& e = *command.event;
  if (was_expanded(command)) {
    tell_again(command.endpoints, transaction);
    return Expanded{};
  }
  if (transaction.directory().is_stale(command.matched, command.endpoints)) return Expanded{.stale = true};
  for (const FirstAttempt& first : command.endpoints) {
    // A delivery that exists must not be given a place in the order again.
    if (first.ordering != Ordering::kNone && has_delivery({e.seq, first.endpoint})) continue;
    insert_delivery(insert_delivery_unless_there_, command.event, e.seq, first, transaction);
  }
  if (command.more_after) {
    advance_fan_out_.run(e.seq, *command.more_after);
  } else {
    delete_fan_out_.run(e.seq);
    count_event_deliveries_.run(e.seq);
  }
  return Expanded{};
}

Result<Nothing> EventWriter::execute(const RejectOutboxRow& command, Transaction&) {
  reject_outbox_row_.run(command.row, command.reason, millis(command.at));
  renumber(command.row);
  return Nothing{};
}

// On a repeat the row may be gone, or wait, because the first time did it.
Result<Nothing> EventWriter::execute(const ResolveOutboxRow& command, Transaction& transaction) {
  Statement& resolve = command.drop ? drop_outbox_row_ : retry_outbox_row_;
  resolve.run(command.row);
  if (resolve.changes() == 0 && !transaction.repeats()) return missing("rejected row of the outbox");
  if (!command.drop) transaction.tell(OutboxRowsWait{});
  return Nothing{};
}

// A producer may choose the row's number, and after the largest number SQLite has none left for later rows: other
// producers would be told that the database is full.
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
