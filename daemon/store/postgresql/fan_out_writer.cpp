#include "store/postgresql/fan_out_writer.h"

#include "store/postgresql/columns.h"
#include "store/postgresql/event_statements.h"
#include "store/postgresql/new_events.h"

namespace outboxd::postgresql {

FanOutWriter::FanOutWriter(Connection& db, DeliveryOrder& order, PendingRows& pending)
    : db_(db),
      order_(order),
      pending_(pending),
      fan_out_of_(db, sql::kFanOutOf),
      advance_fan_out_(db, sql::kAdvanceFanOut),
      delete_fan_out_(db, sql::kDeleteFanOut),
      count_deliveries_(db, sql::kCountEventDeliveries),
      delivered_to_(db, sql::kDeliveredTo),
      reject_row_(db, sql::kRejectRow) {}

std::set<EndpointSeq> FanOutWriter::delivered_to(const ExpandEvent& command, int day) {
  std::set<EndpointSeq> endpoints;
  const auto named =
      column<std::int64_t>(command.endpoints, [](const FirstAttempt& f) { return f.endpoint; });
  for (Cursor row(delivered_to_, command.event->seq, named, day); row.next();)
    endpoints.insert(row.integer(0));
  return endpoints;
}

// A step can arrive twice: from the same daemon when the result of the first commit was unknown, or from two when one
// has just taken over from the other. An existing delivery must not be given a place in the order again.
Result<Expanded> FanOutWriter::execute(const ExpandEvent& command, Transaction& transaction) {
  const Event& e = *command.event;
  Cursor fan_out(fan_out_of_, e.seq);
  if (!fan_out.next() || (command.more_after && fan_out.integer(0) >= *command.more_after)) {
    // They may have something due that was not announced the first time.
    for (const FirstAttempt& first : command.endpoints)
      transaction.tell(DueOnDisk{.endpoint = first.endpoint});
    return Expanded{};
  }
  if (transaction.directory().names_removed(command.matched, command.endpoints))
    return Expanded{.stale = true};
  const int day = fan_out.number(1);
  const std::set<EndpointSeq> there = delivered_to(command, day);
  // Of an event that was accepted long ago its part is due from now on: nobody looks for it further back.
  const Millis since_accepted = transaction.now() - transaction.ahead() - e.created_at;
  for (FirstAttempt first : command.endpoints) {
    if (there.contains(first.endpoint)) continue;
    first.due_in = std::max(first.due_in, since_accepted);
    Place place{.sequence_key = sequence_key_of(first.ordering, e.ordering_key)};
    if (place.sequence_key) {
      const auto found = order_.place({e.seq, first.endpoint}, place.sequence_key, transaction);
      place.blocked = found.blocked;
      if (found.demoted) transaction.tell(DeliveryWithdrawn{*found.demoted});
    }
    add_delivery(command.event, e.seq, day, first, place, pending_, transaction);
  }
  Pipeline step(db_);
  pending_.write(step);
  if (command.more_after) {
    step.add(advance_fan_out_, e.seq, *command.more_after);
  } else {
    step.add(delete_fan_out_, e.seq).add(count_deliveries_, e.seq, day);
  }
  step.run();
  return Expanded{};
}

Result<Nothing> FanOutWriter::execute(const RejectOutboxRow& command, Transaction&) {
  reject_row_.run(command.row, command.reason, millis(command.at));
  return Nothing{};
}

}  // namespace outboxd::postgresql
