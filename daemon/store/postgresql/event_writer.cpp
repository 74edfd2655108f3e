#include "store/postgresql/event_writer.h"

#include <algorithm>
#include <utility>

#include "common/words.h"
#include "store/postgresql/columns.h"
#include "store/postgresql/event_statements.h"

namespace outboxd::postgresql {
namespace {

// These endpoints may have something due that was not announced the first time.
void tell_again(const std::vector<FirstAttempt>& endpoints, Transaction& transaction) {
  for (const FirstAttempt& first : endpoints) transaction.tell(DueOnDisk{.endpoint = first.endpoint});
}

}  // namespace

EventWriter::EventWriter(Connection& db, RunOrders& orders, PendingRows& pending)
    : orders_(orders),
      pending_(pending),
      new_(db),
      find_keys_(db, sql::kFindKeys),
      find_events_(db, sql::kFindAccepted),
      waiting_rows_(db, sql::kWaitingRows),
      source_places_(db, sql::kSourcePlaces),
      next_numbers_(db, sql::kNextNumbers),
      find_newest_endpoint_(db, sql::kNewestEndpoint) {}

void EventWriter::expect(const NewEvent& event, DirectoryVersion matched) {
  expected_.push_back(&event);
  matched_.push_back(matched);
  if (event.outbox_row) outbox_rows_.push_back(*event.outbox_row);
  fans_out_ = fans_out_ || event.more_after;
  for (const FirstAttempt& first : event.endpoints) {
    if (auto key = sequence_key_of(first.ordering, event.event->ordering_key))
      orders_.expect({first.endpoint, std::move(*key)});
  }
}

void EventWriter::expect(const AcceptEvents& command) {
  for (const NewEvent& event : command.events) expect(event, command.matched);
  if (command.source) sources_.push_back(command.source->source);
}

void EventWriter::expect(const AnnounceEvent& command) {
  expect(*command.event, command.matched);
}

void EventWriter::ask(Pipeline& pipeline, bool repeats) {
  std::vector<std::string_view> tenants, keys;
  for (const NewEvent* const event : expected_) {
    if (!event->idempotency_key || !keys_.try_emplace(idempotency_key_of(*event)).second) continue;
    tenants.emplace_back(event->event->tenant);
    keys.emplace_back(*event->idempotency_key);
  }
  keys_.clear();
  const auto at = [&pipeline](auto& statement, const auto&... values) {
    const std::size_t index = pipeline.size();
    pipeline.add(statement, values...);
    return index;
  };
  if (!keys.empty()) asked_.keys = at(find_keys_, tenants, keys);
  if (!outbox_rows_.empty()) {
    std::sort(outbox_rows_.begin(), outbox_rows_.end());
    asked_.rows = at(waiting_rows_, outbox_rows_);
  }
  if (!sources_.empty()) asked_.places = at(source_places_, sources_);
  if (fans_out_) asked_.newest_endpoint = at(find_newest_endpoint_);
  if (!repeats || expected_.empty()) return;
  asked_.events =
      at(find_events_, column<Uuid>(expected_, [](const NewEvent* e) { return e->event->id.uuid; }),
         column<std::int64_t>(expected_, [](const NewEvent* e) { return day_of(e->event->id); }));
}

void EventWriter::hear(const Pipeline& pipeline) {
  if (asked_.keys) {
    for (Cursor row = pipeline.rows(*asked_.keys); row.next();) {
      Stored stored{.seq = row.integer(4), .digest = row.text(2), .expires_at = row.integer(3)};
      if (!row.is_null(5)) stored.event = {EventId{row.uuid(5)}, row.time(6), row.integer(7), true, false};
      keys_.emplace(row.text(0) + '\0' + row.text(1), std::move(stored));
    }
  }
  if (asked_.rows) {
    for (Cursor row = pipeline.rows(*asked_.rows); row.next();) waiting_.insert(row.integer(0));
  }
  if (asked_.places) {
    for (Cursor row = pipeline.rows(*asked_.places); row.next();)
      places_[row.text(0)] = {.database = row.text(1), .relayed = row.integer(2), .cleared = row.integer(3)};
  }
  if (asked_.newest_endpoint) {
    Cursor row = pipeline.rows(*asked_.newest_endpoint);
    newest_endpoint_ = row.next() ? row.integer(0) : 0;
  }
  if (asked_.events) {
    for (Cursor row = pipeline.rows(*asked_.events); row.next();) {
      const NewEvent* const event = expected_.at(static_cast<std::size_t>(row.integer(0)) - 1);
      before_[event] = {
          .seq = row.integer(1),
          .event = AcceptedEvent{EventId{row.uuid(2)}, row.time(3), row.integer(4), false, false}};
    }
  }
}

// On a repeat only for what is certainly new, so that the numbers are those that they would be without it.
void EventWriter::ask_numbers(Pipeline& pipeline, Transaction& transaction, bool ordered) {
  auto needed = static_cast<std::int64_t>(expected_.size());
  for (std::size_t i = 0; i < expected_.size() && transaction.repeats(); ++i) {
    needed -= before_.contains(expected_[i]) || transaction.is_stale(matched_[i], expected_[i]->endpoints);
  }
  for (; !ordered && needed > 0 && !spare_.empty(); --needed) {
    numbers_.push_back(spare_.back());
    spare_.pop_back();
  }
  if (!ordered) drawn_.insert(drawn_.end(), numbers_.begin(), numbers_.end());
  std::sort(numbers_.begin(), numbers_.end(), std::greater<>());
  if (needed == 0) return;
  asked_.numbers = pipeline.size();
  pipeline.add(next_numbers_, needed);
}

void EventWriter::hear_numbers(const Pipeline& pipeline, bool ordered) {
  if (!asked_.numbers) return;
  Cursor row = pipeline.rows(*asked_.numbers);
  numbers_.reserve(numbers_.size() + static_cast<std::size_t>(row.size()));
  while (row.next()) {
    numbers_.push_back(row.integer(0));
    if (!ordered) drawn_.push_back(row.integer(0));
  }
  std::sort(numbers_.begin(), numbers_.end(), std::greater<>());
}

std::optional<KeyUse> EventWriter::find_key_use(const NewEvent& event) const {
  const auto found = keys_.find(idempotency_key_of(event));
  if (found == keys_.end()) return std::nullopt;
  const Stored& stored = found->second;
  if (!stored.event || stored.expires_at <= millis(event.event->created_at)) return std::nullopt;
  return KeyUse{*stored.event, stored.digest == event.content_digest};
}

AcceptedEvent EventWriter::insert(const NewEvent& accepted, Millis idempotency_window,
                                  Transaction& transaction) {
  const std::shared_ptr<const Event> event = accepted.event;
  const Event& e = *event;
  const EventSeq seq = numbers_.back();
  numbers_.pop_back();
  const int day = day_of(e.id);
  const auto made = static_cast<std::int64_t>(accepted.endpoints.size());
  const std::int64_t deliveries = accepted.more_after ? accepted.deliveries : made;
  new_.add(e, seq, deliveries);
  transaction.counters().add_events(day, 1);
  transaction.rollup().event_accepted();
  transaction.when_committed([numbered = accepted.event.get(), seq] { numbered->seq = seq; });
  for (const FirstAttempt& first : accepted.endpoints) {
    Place place{.sequence_key = sequence_key_of(first.ordering, e.ordering_key)};
    if (place.sequence_key) place.blocked = orders_.add(seq, {first.endpoint, *place.sequence_key});
    add_delivery(event, seq, day, first, place, pending_, transaction);
  }
  if (accepted.more_after) {
    new_.add_fan_out(e, seq, *accepted.more_after, newest_endpoint_);
    transaction.tell(FanOutWaits{std::make_shared<const UnfinishedFanOut>(
        UnfinishedFanOut{event, *accepted.more_after, newest_endpoint_})});
  }
  AcceptedEvent answer{.id = e.id, .created_at = e.created_at, .deliveries = deliveries};
  if (accepted.idempotency_key) use_key(accepted, seq, e.created_at + idempotency_window, answer);
  return answer;
}

// For those behind it in the run the key is used, as for those of later transactions.
void EventWriter::use_key(const NewEvent& event, EventSeq seq, Time expires_at, const AcceptedEvent& answer) {
  Stored& stored = keys_[idempotency_key_of(event)];
  if (!stored.replaces && stored.seq != 0) stored.replaces = stored.seq;
  stored.seq = seq;
  stored.event = answer;
  stored.event->duplicate = true;
  stored.digest = event.content_digest;
  stored.expires_at = millis(expires_at);
  new_.add_key(event, seq, stored.expires_at, stored.replaces);
}

std::optional<AcceptedEvent> EventWriter::find_accepted_before(const NewEvent& event,
                                                               Transaction& transaction) {
  const auto found = before_.find(&event);
  if (found == before_.end()) return std::nullopt;
  transaction.when_committed(
      [numbered = event.event.get(), seq = found->second.seq] { numbered->seq = seq; });
  tell_again(event.endpoints, transaction);
  if (event.more_after) transaction.tell(FanOutWaits{});
  return found->second.event;
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
  if (disposition.kind == Disposition::kRowDeleted) return {.id = {}, .row_deleted = true};
  if (event.outbox_row) {
    if (waiting_.erase(*event.outbox_row) == 0) return {.id = {}, .row_deleted = true};
    new_.delete_outbox_row(*event.outbox_row);
  }
  if (disposition.kind == Disposition::kDuplicate) return disposition.first;
  if (disposition.kind == Disposition::kStore) return insert(event, command.idempotency_window, transaction);
  AcceptedEvent duplicate = before[disposition.first_index];
  duplicate.duplicate = true;
  return duplicate;
}

std::optional<Problem> EventWriter::check_place(const SourceStep& step, const Transaction& transaction) {
  const SourcePlace& stored = places_[step.source];
  if (stored == step.from || (transaction.repeats() && stored == step.to)) return std::nullopt;
  return Problem{ProblemCode::kConflict, "the source " + in_quotes(step.source) + " is at another place", {}};
}

Result<Accepted> EventWriter::execute(const AcceptEvents& command, Transaction& transaction) {
  std::vector<Disposition> dispositions(command.events.size());
  const bool before = transaction.repeats() && find_accepted_before(command, dispositions, transaction);
  const auto is_stale = [&](const NewEvent& event) {
    return transaction.is_stale(command.matched, event.endpoints);
  };
  if (!before && std::any_of(command.events.begin(), command.events.end(), is_stale))
    return Accepted{.stale = true, .events = {}};
  if (command.source) {
    if (auto refused = check_place(*command.source, transaction)) return tl::unexpected(std::move(*refused));
  }
  const auto find = [this](const NewEvent& event) { return find_key_use(event); };
  const auto waits = [this](std::int64_t outbox_row) { return waiting_.contains(outbox_row); };
  if (auto refused = check_idempotency(command, dispositions, find, waits))
    return tl::unexpected(std::move(*refused));
  Accepted accepted;
  accepted.events.reserve(command.events.size());
  for (std::size_t i = 0; i < command.events.size(); ++i)
    accepted.events.push_back(accept(command, i, dispositions[i], accepted.events, transaction));
  if (command.source) {
    places_[command.source->source] = command.source->to;
    new_.put_place(*command.source);
  }
  return accepted;
}

Result<Accepted> EventWriter::execute(const AnnounceEvent& command, Transaction& transaction) {
  const NewEvent& event = *command.event;
  if (transaction.repeats()) {
    if (const auto before = find_accepted_before(event, transaction)) return Accepted{false, {*before}};
  }
  if (transaction.is_stale(command.matched, event.endpoints)) return Accepted{.stale = true, .events = {}};
  return Accepted{false, {insert(event, Millis(0), transaction)}};
}

// Its numbers are certainly not used: rolled back, and not in doubt.
void EventWriter::rolled_back() {
  new_.rolled_back();
  spare_.insert(spare_.end(), drawn_.begin(), drawn_.end());
  drawn_.clear();
  std::sort(spare_.begin(), spare_.end(), std::greater<>());
}

// What was in doubt may have used its numbers.
void EventWriter::begin_batch() {
  spare_.clear();
  drawn_.clear();
}

void EventWriter::end_run() {
  expected_.clear();
  matched_.clear();
  outbox_rows_.clear();
  sources_.clear();
  fans_out_ = false;
  asked_ = {};
  keys_.clear();
  before_.clear();
  waiting_.clear();
  places_.clear();
  numbers_.clear();
  new_.end_run();
}

}  // namespace outboxd::postgresql
