#include "store/sqlite/operator_writer.h"

#include <vector>

#include "store/sqlite/rows.h"

namespace outboxd::sqlite {

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

std::optional<std::string> OperatorWriter::ordering_key_of(EventSeq event) {
  Cursor row(event_ordering_key_, event);
  return row.next() ? row.optional_text(0) : std::nullopt;
}

std::optional<DeliveryKey> OperatorWriter::make_pending(const Delivery& from,
                                                        const std::optional<std::string>& sequence_key,
                                                        Time at, Transaction& transaction) {
  const auto& [event, endpoint] = from.key;
  // Replayed while it is pending, it leaves the place that it has: its sequence key may be another one now.
  const auto left =
      from.state == DeliveryState::kPending ? order_.sequence_key_of_pending(from.key) : std::nullopt;
  if (left) discard_pending_.run(event, endpoint, millis(at));
  const DeliveryOrder::Place place = order_.place(from.key, sequence_key);
  change_delivery_.run(event, endpoint, to_string(DeliveryState::kPending), transaction.due_millis(at, at),
                       std::nullopt, sequence_key, place.blocked ? 1 : 0);
  if (left) order_.promote(endpoint, *left, transaction);
  transaction.counters().move(from.state, DeliveryState::kPending);
  return place.demoted;
}

std::optional<NewHead> OperatorWriter::discard(const ChangeDelivery& command, DeliveryState from,
                                               Transaction& transaction) {
  const auto sequence_key = order_.sequence_key_of_pending(command.key);
  change_delivery_.run(command.key.event, command.key.endpoint, to_string(command.state), std::nullopt,
                       millis(command.at), std::nullopt, 0);
  transaction.counters().move(from, command.state);
  return sequence_key ? order_.promote(command.key.endpoint, *sequence_key, transaction) : std::nullopt;
}

void OperatorWriter::execute(const ChangeDelivery& command, Transaction& transaction) {
  const auto stored = find_delivery(command.key, transaction);
  if (!stored) return transaction.refuse_as_missing("delivery");
  if (!operator_may_move(stored->state, command.state)) {
    return transaction.refuse(
        {ProblemCode::kConflict, "a delivery that is " + std::string(to_string(stored->state)) +
                                     " cannot become " + std::string(to_string(command.state))});
  }
  std::optional<DeliveryKey> demoted;
  std::optional<NewHead> promoted;
  if (command.state == DeliveryState::kPending) {
    const auto ordering = ordering_of(command.key.endpoint);
    if (!ordering) return transaction.refuse({ProblemCode::kConflict, "its endpoint was removed"});
    const auto sequence_key = order_key_of(*ordering, ordering_key_of(command.key.event));
    demoted = make_pending(*stored, sequence_key, command.at, transaction);
  } else {
    promoted = discard(command, stored->state, transaction);
  }
  transaction.answer<ChangeDelivery>(
      [=, delivery = *find_delivery(command.key, transaction)](ChangeDelivery& done) {
        done.delivery = delivery;
        done.set_back = demoted;
        done.next_in_order = promoted;
      });
}

struct OperatorWriter::ReplayedEvent {
  EventSeq seq = 0;
  int priority = 0;
  std::optional<std::string> ordering_key;
};

std::optional<OperatorWriter::ReplayedEvent> OperatorWriter::find_event(const EventId& id) {
  Cursor row(find_event_to_replay_, as_blob(id.uuid));
  if (!row.next()) return std::nullopt;
  return ReplayedEvent{row.integer(0), row.number(1), row.optional_text(2)};
}

std::optional<DeliveryKey> OperatorWriter::insert_delivery(DeliveryKey key, int priority,
                                                           const std::optional<std::string>& sequence_key,
                                                           Time at, Transaction& transaction) {
  const DeliveryOrder::Place place = order_.place(key, sequence_key);
  insert_delivery_.run(key.event, key.endpoint, transaction.due_millis(at, at), priority, sequence_key,
                       place.blocked ? 1 : 0, millis(at), std::nullopt);
  ++transaction.counters().pending;
  return place.demoted;
}

void OperatorWriter::execute(const ReplayEvent& command, Transaction& transaction) {
  const auto event = find_event(command.id);
  if (!event) return transaction.refuse_as_missing("event");
  std::vector<Ordering> orderings;
  for (const EndpointSeq endpoint : command.endpoints) {
    const auto ordering = ordering_of(endpoint);
    if (!ordering) return transaction.refuse_as_missing("endpoint");
    orderings.push_back(*ordering);
  }
  std::int64_t made = 0;
  std::vector<DeliveryKey> all_demoted;
  for (std::size_t i = 0; i < orderings.size(); ++i) {
    const DeliveryKey key{event->seq, command.endpoints[i]};
    const auto sequence_key = order_key_of(orderings[i], event->ordering_key);
    std::optional<DeliveryKey> demoted;
    if (const auto stored = find_delivery(key, transaction)) {
      demoted = make_pending(*stored, sequence_key, command.at, transaction);
    } else {
      demoted = insert_delivery(key, event->priority, sequence_key, command.at, transaction);
      ++made;
    }
    if (demoted) all_demoted.push_back(*demoted);
  }
  if (made > 0) add_event_deliveries_.run(event->seq, made);
  transaction.answer<ReplayEvent>([all_demoted = std::move(all_demoted)](ReplayEvent& done) {
    done.set_back = all_demoted;
    done.deliveries = static_cast<std::int64_t>(done.endpoints.size());
  });
}

}  // namespace outboxd::sqlite
