#include "store/postgresql/payload_writer.h"

#include <algorithm>
#include <utility>

#include "common/partition.h"
#include "store/postgresql/columns.h"
#include "store/postgresql/days.h"
#include "store/postgresql/payload_statements.h"

namespace outboxd::postgresql {
namespace {

// In one step, but at least one event: what is erased goes through the write-ahead log.
constexpr std::int64_t kMaxBytesErased = 4 << 20;

struct Stored {
  EventSeq event = 0;
  Time accepted_at{};
  int day = 0;
  std::int64_t bytes = 0;
  bool is_pending = false;
};

// One from the future was accepted while the clock was wrong, and ends nothing. After any other that is not old yet all
// are newer still.
bool is_recent(Time accepted_at, const PrunePayloads& command) {
  return accepted_at >= command.before && accepted_at <= command.at;
}

}  // namespace

PayloadWriter::PayloadWriter(Connection& db, DeliveryMoves& moves)
    : moves_(moves),
      payloads_(db, sql::kPayloadColumns),
      by_id_(db, sql::kEventToErase),
      many_(db, sql::kEventsToErase),
      erase_(db, sql::kErasePayloads),
      end_fan_out_(db, sql::kEndFanOut),
      count_deliveries_(db, sql::kCountDeliveriesOf),
      states_(db, sql::kStatesOfEvent),
      place_(db, sql::kPayloadsGone),
      set_place_(db, sql::kSetPayloadsGone) {}

std::optional<PayloadWriter::Event> PayloadWriter::find(const EventId& id) {
  const int day = day_of(id);
  Cursor row(by_id_, id.uuid, day, kept_day(day));
  if (!row.next()) return std::nullopt;
  return Event{read_erasable(row), row.number(16)};
}

void PayloadWriter::erase(const std::vector<Event>& events, Time at, Transaction& transaction) {
  erase_.run(column<std::int64_t>(events, [](const Event& e) { return e.seq; }),
             column<std::int64_t>(events, [](const Event& e) { return e.day; }),
             column<std::optional<std::int64_t>>(events, [](const Event& e) { return e.checksum; }),
             millis(at));
  for (const Event& event : events)
    transaction.when_committed([this, day = event.day] { to_vacuum_.insert(day); });
}

std::int64_t PayloadWriter::discard_pending(const std::vector<DeliveryKey>& keys, Time at,
                                            Transaction& transaction) {
  const auto subjects = moves_.look_at(keys, false, transaction);
  std::vector<DeliveryMoves::Move> moves;
  moves.reserve(subjects.size());
  for (const DeliveryMoves::Subject& subject : subjects) {
    if (subject.stored && subject.stored->delivery.state == DeliveryState::kPending)
      moves.push_back({&subject, DeliveryState::kDiscarded});
  }
  moves_.carry_out(moves, at, true, transaction);
  return static_cast<std::int64_t>(moves.size());
}

// On a repeat, deliveries that the first time has discarded are told of again.
Result<Erased> PayloadWriter::execute(const ErasePayload& command, Transaction& transaction) {
  const auto event = find(command.id);
  if (!event) return missing("event");
  if (!event->erased_at) {
    erase({*event}, command.at, transaction);
    end_fan_out_.run(event->seq);
    if (end_fan_out_.changes() > 0) count_deliveries_.run(event->seq, event->day);
  }
  Erased erased{.at = event->erased_at.value_or(command.at), .discarded = 0, .next = {}};
  std::vector<DeliveryKey> pending;
  Cursor row(states_, event->seq, event->day, command.after, command.limit);
  EndpointSeq last = command.after;
  while (row.next()) {
    last = row.integer(0);
    const DeliveryKey key{event->seq, last};
    if (read_state(row.view(1)) == DeliveryState::kPending) {
      pending.push_back(key);
    } else if (transaction.repeats()) {
      transaction.tell(DeliveryWithdrawn{key});
      transaction.tell(DueOnDisk{.endpoint = last, .due_in = Millis(0), .by_operator = true});
    }
  }
  erased.discarded = discard_pending(pending, command.at, transaction);
  if (row.size() == command.limit) erased.next = last;
  return erased;
}

// A repeat finds that they are gone.
Result<PayloadsPruned> PayloadWriter::execute(const PrunePayloads& command, Transaction& transaction) {
  PayloadsPruned pruned;
  if (!transaction.owns(kHousekeepingPartition)) return pruned;
  EventSeq gone = 0;
  {
    Cursor row(place_);
    if (!row.next()) throw CorruptValue("the row of table sweep is missing: the database is damaged");
    gone = row.integer(0);
  }
  const EventSeq gone_before = gone;
  EventSeq last = std::max(command.after, gone);
  bool all_gone = last == gone;  // none has kept its payload until here
  std::vector<Stored> events;
  bool ended = false;
  const std::int64_t read = payloads_.take(last, kLastEvent, command.limit, {}, [&](const Cursor& row) {
    const Time accepted_at = row.uuid(1).time();
    ended = ended || is_recent(accepted_at, command);
    if (!ended)
      events.push_back({row.integer(0), accepted_at, row.number(2), row.integer(3), row.boolean(4)});
  });
  bool more = !ended && read == command.limit;
  std::int64_t bytes = 0;
  std::vector<std::int64_t> seqs, days;
  for (const Stored& one : events) {
    if (one.bytes > 0 && (one.accepted_at >= command.before || one.is_pending)) {
      all_gone = false;
    } else if (one.bytes > 0) {
      seqs.push_back(one.event);
      days.push_back(one.day);
      bytes += one.bytes;
    }
    last = one.event;
    if (all_gone) gone = last;
    if (bytes >= kMaxBytesErased) {
      more = true;
      break;
    }
  }
  std::vector<Event> found;
  found.reserve(seqs.size());
  if (!seqs.empty()) {
    for (Cursor row(many_, seqs, days); row.next();) {
      Event event{read_erasable(row), row.number(16)};
      if (!event.erased_at) found.push_back(std::move(event));
    }
  }
  if (!found.empty()) erase(found, command.at, transaction);
  pruned.events = static_cast<std::int64_t>(found.size());
  if (gone > gone_before) set_place_.run(gone);
  if (more) pruned.next = last;
  return pruned;
}

}  // namespace outboxd::postgresql
