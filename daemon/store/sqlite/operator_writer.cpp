#include "store/sqlite/operator_writer.h"

#include <vector>

#include "store/endpoint_columns.h"
#include "store/sqlite/rows.h"

namespace outboxd::sqlite {
namespace {

void tell_due(EndpointSeq endpoint, bool wake, Transaction& transaction) {
  transaction.tell(DueOnDisk{.endpoint = endpoint, .due_in = Millis(0), .by_operator = wake});
}

tl::unexpected<Problem> payload_is_gone(Time since) {
  return problem(ProblemCode::kConflict, "the event's payload was erased at " + format_time(since) +
                                             ": nothing of it can be sent any more");
}

}  // namespace

std::optional<Delivery> OperatorWriter::find_delivery(DeliveryKey key, const Transaction& transaction) {
  Cursor row(find_delivery_, key.event, key.endpoint);
  if (!row.next()) return std::nullopt;
  return read_delivery(row, transaction.ahead());
}

std::optional<Ordering> OperatorWriter::ordering_of(EndpointSeq endpoint) {
  Cursor row(endpoint_ordering_, endpoint);
  if (!row.next()) return std::nullopt;
  return read_ordering(row.view(0));
}

Result<std::optional<std::string>> OperatorWriter::ordering_key_to_retry(EventSeq event) {
  Cursor row(event_to_retry_, event);
  if (!row.next()) return std::nullopt;
  if (!row.is_null(1)) return payload_is_gone(row.time(1));
  return row.optional_text(0);
}

void OperatorWriter::make_pending(const Delivery& from, const std::optional<std::string>& sequence_key,
                                  Time at, bool wake, Transaction& transaction) {
  const auto& [event, endpoint] = from.key;
  const bool was_pending = from.state == DeliveryState::kPending;
  // A delivery replayed while pending first leaves its place in the order, because its sequence key may be different
  // now.
  const auto left = was_pending ? order_.sequence_key_of_pending(from.key) : std::nullopt;
  const std::int64_t after_batch = transaction.counters().batches;
  if (left) discard_pending_.run(event, endpoint, millis(at), after_batch);
  const DeliveryOrder::Place place = order_.place(from.key, sequence_key, transaction);
  change_delivery_.run(event, endpoint, to_string(DeliveryState::kPending), transaction.due_millis(at, at),
                       std::nullopt, sequence_key, place.blocked ? 1 : 0, after_batch);
  if (left) order_.promote(endpoint, *left);
  transaction.counters().move(endpoint, from.state, DeliveryState::kPending);
  if (place.demoted) transaction.tell(DeliveryWithdrawn{*place.demoted});
  // The copy in memory has the old attempt count and expiry, so it must be read again.
  if (was_pending) transaction.tell(DeliveryWithdrawn{from.key});
  tell_due(endpoint, wake, transaction);
}

void OperatorWriter::discard(DeliveryKey key, DeliveryState from, Time at, bool wake,
                             Transaction& transaction) {
  const auto sequence_key = order_.sequence_key_of_pending(key);
  change_delivery_.run(key.event, key.endpoint, to_string(DeliveryState::kDiscarded), std::nullopt,
                       millis(at), std::nullopt, 0, transaction.counters().batches);
  transaction.counters().move(key.endpoint, from, DeliveryState::kDiscarded);
  transaction.tell(DeliveryWithdrawn{key});
  if (sequence_key && order_.promote(key.endpoint, *sequence_key)) tell_due(key.endpoint, wake, transaction);
}

Result<Delivery> OperatorWriter::execute(const ChangeDelivery& command, Transaction& transaction) {
  const auto stored = find_delivery(command.key, transaction);
  if (!stored) return missing("delivery");
  if (transaction.repeats() && stored->state == command.state) {
    tell_again(*stored, transaction);
    return *stored;
  }
  if (!operator_may_move(stored->state, command.state)) {
    return problem(ProblemCode::kConflict, "a delivery that is " + std::string(to_string(stored->state)) +
                                               " cannot become " + std::string(to_string(command.state)));
  }
  if (command.state == DeliveryState::kPending) {
    const auto ordering = ordering_of(command.key.endpoint);
    if (!ordering) return problem(ProblemCode::kConflict, "its endpoint was removed");
    const auto ordering_key = ordering_key_to_retry(command.key.event);
    if (!ordering_key) return tl::unexpected(ordering_key.error());
    const auto sequence_key = sequence_key_of(*ordering, *ordering_key);
    make_pending(*stored, sequence_key, command.at, true, transaction);
  } else {
    discard(command.key, stored->state, command.at, true, transaction);
  }
  return *find_delivery(command.key, transaction);
}

// The delivery that it demoted is the next one in its order; one that it promoted is found when the endpoint's due
// deliveries are read.
void OperatorWriter::tell_again(const Delivery& changed, Transaction& transaction) {
  if (changed.state != DeliveryState::kPending) {
    transaction.tell(DeliveryWithdrawn{changed.key});
  } else if (const auto sequence_key = order_.sequence_key_of_pending(changed.key)) {
    if (const auto next = order_.next_in_order(changed.key, *sequence_key))
      transaction.tell(DeliveryWithdrawn{*next});
  }
  tell_due(changed.key.endpoint, true, transaction);
}

void OperatorWriter::tell_again(DeliveryKey key, Transaction& transaction) {
  const auto stored = find_delivery(key, transaction);
  if (!stored) return;
  if (stored->state == DeliveryState::kPending) transaction.tell(DeliveryWithdrawn{key});
  tell_again(*stored, transaction);
}

struct OperatorWriter::ReplayedEvent {
  EventSeq seq = 0;
  int priority = 0;
  std::optional<std::string> ordering_key;
  std::optional<Time> payload_erased_at;
};

std::optional<OperatorWriter::ReplayedEvent> OperatorWriter::find_event(const EventId& id) {
  Cursor row(find_event_to_replay_, as_blob(id.uuid));
  if (!row.next()) return std::nullopt;
  return ReplayedEvent{row.integer(0), row.number(1), row.optional_text(2), row.optional_time(3)};
}

std::optional<OperatorWriter::ReplayedEvent> OperatorWriter::find_event(EventSeq seq) {
  Cursor row(event_to_replay_by_seq_, seq);
  if (!row.next()) return std::nullopt;
  return ReplayedEvent{row.integer(0), row.number(1), row.optional_text(2), row.optional_time(3)};
}

void OperatorWriter::insert_delivery(DeliveryKey key, int priority,
                                     const std::optional<std::string>& sequence_key, Time at, bool wake,
                                     Transaction& transaction) {
  const DeliveryOrder::Place place = order_.place(key, sequence_key, transaction);
  insert_delivery_.run(key.event, key.endpoint, transaction.due_millis(at, at), priority, sequence_key,
                       place.blocked ? 1 : 0, millis(at), std::nullopt, transaction.counters().batches);
  transaction.counters().add(key.endpoint, DeliveryState::kPending, 1);
  if (place.demoted) transaction.tell(DeliveryWithdrawn{*place.demoted});
  tell_due(key.endpoint, wake, transaction);
}

Result<Replayed> OperatorWriter::execute(const ReplayEvent& command, Transaction& transaction) {
  const auto event = find_event(command.id);
  if (!event) return missing("event");
  if (event->payload_erased_at) return payload_is_gone(*event->payload_erased_at);
  std::vector<Ordering> orderings;
  orderings.reserve(command.endpoints.size());
  for (const EndpointSeq endpoint : command.endpoints) {
    const auto ordering = ordering_of(endpoint);
    if (!ordering) return missing("endpoint");
    orderings.push_back(*ordering);
  }
  std::int64_t made = 0;
  for (std::size_t i = 0; i < orderings.size(); ++i) {
    const DeliveryKey key{event->seq, command.endpoints[i]};
    const auto sequence_key = sequence_key_of(orderings[i], event->ordering_key);
    if (const auto stored = find_delivery(key, transaction)) {
      make_pending(*stored, sequence_key, command.at, true, transaction);
    } else {
      insert_delivery(key, event->priority, sequence_key, command.at, true, transaction);
      ++made;
    }
  }
  if (made > 0) add_event_deliveries_.run(event->seq, made);
  return Replayed{static_cast<std::int64_t>(command.endpoints.size())};
}

bool OperatorWriter::changed_since(const OperatorBatch& batch, DeliveryKey key) {
  Cursor row(changed_after_batch_, key.event, key.endpoint);
  return row.next() && row.integer(0) >= batch.number;
}

bool OperatorWriter::act(const OperatorBatch& batch, DeliveryKey key, Time at, bool first,
                         Transaction& transaction) {
  const auto stored = find_delivery(key, transaction);
  if (stored ? changed_since(batch, key) : !acts_on_events(batch.action)) return false;
  if (stored && !may_act(batch.action, stored->state)) return false;
  if (batch.action == BatchAction::kDiscard) {
    discard(key, stored->state, at, first, transaction);
    return true;
  }
  const auto ordering = ordering_of(key.endpoint);
  const auto event = find_event(key.event);
  if (!ordering || !event || event->payload_erased_at) return false;
  const auto sequence_key = sequence_key_of(*ordering, event->ordering_key);
  if (stored) {
    make_pending(*stored, sequence_key, at, first, transaction);
  } else {
    insert_delivery(key, event->priority, sequence_key, at, first, transaction);
    add_event_deliveries_.run(key.event, 1);
  }
  return true;
}

void OperatorWriter::erase(const ErasableEvent& event, Time at, Transaction& transaction) {
  {
    const OverwritesDeleted overwrites(db_);
    eraser_.erase(event, at);
  }
  delete_fan_out_.run(event.seq);  // no further deliveries are made
  if (delete_fan_out_.changes() > 0) count_event_deliveries_.run(event.seq);
  transaction.when_committed([this] { eraser_.purge_log(); });
}

// On a repeat, deliveries that the first time has discarded are told of again.
Result<Erased> OperatorWriter::execute(const ErasePayload& command, Transaction& transaction) {
  const auto event = eraser_.find(command.id);
  if (!event) return missing("event");
  if (!event->erased_at) erase(*event, command.at, transaction);
  Erased erased{.at = event->erased_at.value_or(command.at), .discarded = 0, .next = {}};
  std::vector<std::pair<EndpointSeq, DeliveryState>> some;
  {
    Cursor row(states_of_event_, event->seq, command.after, command.limit);
    while (row.next()) some.emplace_back(row.integer(0), read_state(row.view(1)));
  }
  for (const auto& [endpoint, state] : some) {
    const DeliveryKey key{event->seq, endpoint};
    if (state == DeliveryState::kPending) {
      discard(key, state, command.at, true, transaction);
      ++erased.discarded;
    } else if (transaction.repeats()) {
      transaction.tell(DeliveryWithdrawn{key});
      tell_due(endpoint, true, transaction);
    }
  }
  if (static_cast<std::int64_t>(some.size()) == command.limit) erased.next = some.back().first;
  return erased;
}

}  // namespace outboxd::sqlite
