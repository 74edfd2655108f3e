#include "store/postgresql/operator_writer.h"

#include <algorithm>
#include <set>
#include <string>

#include "store/postgresql/columns.h"
#include "store/postgresql/days.h"

namespace outboxd::postgresql {
namespace {

tl::unexpected<Problem> payload_is_gone(Time since) {
  return problem(ProblemCode::kConflict, "the event's payload was erased at " + format_time(since) +
                                             ": nothing of it can be sent any more");
}

}  // namespace

OperatorWriter::OperatorWriter(Connection& db, DeliveryOrder& order, DeliveryMoves& moves)
    : order_(order),
      moves_(moves),
      find_event_(db, "SELECT seq, payload_erased_at FROM event WHERE id = $1 AND (day = $2 OR day = $3)"),
      living_endpoints_(db, "SELECT count(*) FROM endpoint WHERE seq = ANY($1) AND removed_at IS NULL") {}

Result<Delivery> OperatorWriter::execute(const ChangeDelivery& command, Transaction& transaction) {
  const auto subjects = moves_.look_at({command.key}, false, transaction);
  const DeliveryMoves::Subject& subject = subjects.front();
  if (!subject.stored) return missing("delivery");
  const Delivery& stored = subject.stored->delivery;
  if (transaction.repeats() && stored.state == command.state) {
    tell_again(stored, transaction);
    return stored;
  }
  if (!operator_may_move(stored.state, command.state)) {
    return problem(ProblemCode::kConflict, "a delivery that is " + std::string(to_string(stored.state)) +
                                               " cannot become " + std::string(to_string(command.state)));
  }
  if (command.state == DeliveryState::kPending) {
    if (!subject.ordering) return problem(ProblemCode::kConflict, "its endpoint was removed");
    if (subject.event && subject.event->payload_erased_at)
      return payload_is_gone(*subject.event->payload_erased_at);
  }
  moves_.carry_out({{&subject, command.state}}, command.at, true, transaction);
  const auto changed = moves_.find(command.key, transaction);
  if (!changed) throw CorruptValue("a delivery is gone that was changed just now");
  return *changed;
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
  transaction.tell(DueOnDisk{.endpoint = changed.key.endpoint, .due_in = Millis(0), .by_operator = true});
}

void OperatorWriter::tell_again(DeliveryKey key, Transaction& transaction) {
  const auto stored = moves_.find(key, transaction);
  if (!stored) return;
  if (stored->state == DeliveryState::kPending) transaction.tell(DeliveryWithdrawn{key});
  tell_again(*stored, transaction);
}

Result<Replayed> OperatorWriter::execute(const ReplayEvent& command, Transaction& transaction) {
  EventSeq event = 0;
  {
    const int day = day_of(command.id);
    Cursor row(find_event_, command.id.uuid, day, kept_day(day));
    if (!row.next()) return missing("event");
    if (!row.is_null(1)) return payload_is_gone(row.time(1));
    event = row.integer(0);
  }
  const std::set<EndpointSeq> endpoints(command.endpoints.begin(), command.endpoints.end());
  {
    Cursor row(living_endpoints_, std::vector<std::int64_t>(endpoints.begin(), endpoints.end()));
    row.next();
    if (row.integer(0) != static_cast<std::int64_t>(endpoints.size())) return missing("endpoint");
  }
  const auto keys = column<DeliveryKey>(endpoints, [event](EndpointSeq endpoint) {
    return DeliveryKey{event, endpoint};
  });
  const auto subjects = moves_.look_at(keys, true, transaction);
  const auto moves = column<DeliveryMoves::Move>(subjects, [](const DeliveryMoves::Subject& subject) {
    return DeliveryMoves::Move{&subject, DeliveryState::kPending};
  });
  moves_.carry_out(moves, command.at, true, transaction);
  return Replayed{static_cast<std::int64_t>(command.endpoints.size())};
}

std::int64_t OperatorWriter::act(const OperatorBatch& batch, const std::vector<DeliveryKey>& keys, Time at,
                                 bool first, Transaction& transaction) {
  // Each once: what comes a second time has changed by then.
  const std::set<DeliveryKey> distinct(keys.begin(), keys.end());
  const bool discards = batch.action == BatchAction::kDiscard;
  const auto subjects =
      moves_.look_at({distinct.begin(), distinct.end()}, acts_on_events(batch.action), transaction);
  std::vector<DeliveryMoves::Move> moves;
  moves.reserve(subjects.size());
  for (const DeliveryMoves::Subject& subject : subjects) {
    const auto& stored = subject.stored;
    if (stored ? stored->after_batch >= batch.number : !acts_on_events(batch.action)) continue;
    if (stored && !may_act(batch.action, stored->delivery.state)) continue;
    if (!discards && (!subject.ordering || !subject.event || subject.event->payload_erased_at)) continue;
    moves.push_back({&subject, discards ? DeliveryState::kDiscarded : DeliveryState::kPending});
  }
  moves_.carry_out(moves, at, first, transaction);
  return static_cast<std::int64_t>(moves.size());
}

}  // namespace outboxd::postgresql
