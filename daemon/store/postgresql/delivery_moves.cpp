#include "store/postgresql/delivery_moves.h"

#include <algorithm>
#include <unordered_map>

#include "store/endpoint_columns.h"
#include "store/postgresql/columns.h"
#include "store/postgresql/delivery_move_statements.h"
#include "store/rows.h"

namespace outboxd::postgresql {
namespace {

// The columns of sql::kLockPending and its like.
DeliveryMoves::Stored read_stored(const Cursor& row, const Transaction& transaction) {
  return {.delivery = read_delivery(row, transaction.ahead()),
          .day = row.number(10),
          .sequence_key = row.optional_text(11),
          .after_batch = row.integer(12)};
}
constexpr int kIndexOfKey = 13;

bool is_pending(const DeliveryMoves::Subject& subject) {
  return subject.stored && subject.stored->delivery.state == DeliveryState::kPending;
}

// The columns of keys, days and sequence keys of the moves of one kind.
struct MoveColumns {
  std::vector<std::int64_t> events, endpoints, days, priorities;
  std::vector<std::optional<std::string>> sequence_keys;

  bool empty() const { return events.empty(); }
  void add(const DeliveryMoves::Subject& subject) {
    events.push_back(subject.key.event);
    endpoints.push_back(subject.key.endpoint);
    days.push_back(subject.stored ? subject.stored->day : subject.event->day);
    priorities.push_back(subject.event ? subject.event->priority : 0);
    sequence_keys.push_back(subject.sequence_key());
  }
};

}  // namespace

struct DeliveryMoves::KeyColumns {
  std::vector<std::int64_t> events, endpoints;
  explicit KeyColumns(const std::vector<DeliveryKey>& keys)
      : events(column<std::int64_t>(keys, [](DeliveryKey key) { return key.event; })),
        endpoints(column<std::int64_t>(keys, [](DeliveryKey key) { return key.endpoint; })) {}
};

struct DeliveryMoves::OrderColumns {
  std::vector<std::int64_t> endpoints;
  std::vector<std::string> keys;
  explicit OrderColumns(const Orders& orders)
      : endpoints(column<std::int64_t>(orders, [](const Order& order) { return order.first; })),
        keys(column<std::string>(orders, [](const Order& order) { return order.second; })) {}
};

DeliveryMoves::DeliveryMoves(Connection& db, DeliveryOrder& order)
    : db_(db),
      order_(order),
      orders_(db, sql::kOrdersOfPending),
      endpoints_(db, sql::kOrderingsOf),
      events_to_send_(db, sql::kEventsToSend),
      events_to_make_(db, sql::kEventsToMake),
      lock_pending_(db, sql::kLockPending),
      lock_finished_(db, sql::kLockFinished),
      discard_(db, sql::kDiscardMany),
      bury_(db, sql::kBuryMany),
      revive_(db, sql::kReviveMany),
      reset_(db, sql::kResetMany),
      insert_(db, sql::kInsertMany),
      demote_(db, sql::kDemoteMany),
      promote_(db, sql::kPromoteMany),
      find_pending_(db, sql::kFindPending),
      find_finished_(db, sql::kFindFinished) {}

std::optional<Delivery> DeliveryMoves::find(DeliveryKey key, const Transaction& transaction) {
  Pipeline both(db_);
  both.add(find_pending_, key.event, key.endpoint).add(find_finished_, key.event, key.endpoint);
  both.run();
  for (const std::size_t table : {0u, 1u}) {
    Cursor row = both.rows(table);
    if (row.next()) return read_delivery(row, transaction.ahead());
  }
  return std::nullopt;
}

// Fills in everything but what is stored. Answers the orders that the deliveries are in or may come into.
DeliveryMoves::Orders DeliveryMoves::look_around(std::vector<Subject>& subjects, const KeyColumns& keys,
                                                 bool makes) {
  Pipeline around(db_);
  around.add(orders_, keys.events, keys.endpoints);
  std::set<std::int64_t> endpoints(keys.endpoints.begin(), keys.endpoints.end());
  around.add(endpoints_, std::vector<std::int64_t>(endpoints.begin(), endpoints.end()));
  std::set<std::int64_t> events(keys.events.begin(), keys.events.end());
  around.add(makes ? events_to_make_ : events_to_send_,
             std::vector<std::int64_t>(events.begin(), events.end()));
  around.run();
  Orders orders;
  Cursor order = around.rows(0);
  while (order.next()) orders.emplace(order.integer(0), order.text(1));
  std::unordered_map<EndpointSeq, Ordering> orderings;
  Cursor endpoint = around.rows(1);
  while (endpoint.next()) orderings.emplace(endpoint.integer(0), read_ordering(endpoint.view(1)));
  std::unordered_map<EventSeq, EventToSend> found;
  Cursor event = around.rows(2);
  while (event.next())
    found.emplace(event.integer(0), EventToSend{event.integer(0), event.number(1), event.number(2),
                                                event.optional_text(3), event.optional_time(4)});
  for (Subject& subject : subjects) {
    if (const auto one = orderings.find(subject.key.endpoint); one != orderings.end())
      subject.ordering = one->second;
    if (const auto one = found.find(subject.key.event); one != found.end()) subject.event = one->second;
    if (auto key = subject.sequence_key()) orders.emplace(subject.key.endpoint, std::move(*key));
  }
  return orders;
}

void DeliveryMoves::lock(const Orders& orders) {
  if (orders.empty()) return;
  std::set<std::int64_t> locks;
  for (const auto& [endpoint, key] : orders) locks.insert(DeliveryOrder::lock_of(endpoint, key));
  order_.lock_many().run(std::vector<std::int64_t>(locks.begin(), locks.end()));
}

std::vector<DeliveryMoves::Subject> DeliveryMoves::look_at(const std::vector<DeliveryKey>& keys, bool makes,
                                                           const Transaction& transaction) {
  std::vector<Subject> subjects(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) subjects[i].key = keys[i];
  if (keys.empty()) return subjects;
  const KeyColumns columns(keys);
  lock(look_around(subjects, columns, makes));
  // One that is put back while we wait for it is in `pending` after that.
  Pipeline rows(db_);
  for (Statement* const table : {&lock_pending_, &lock_finished_, &lock_pending_})
    rows.add(*table, columns.events, columns.endpoints);
  rows.run();
  for (std::size_t table = 0; table < 3; ++table) {
    Cursor row = rows.rows(table);
    while (row.next()) {
      Subject& subject = subjects.at(static_cast<std::size_t>(row.integer(kIndexOfKey) - 1));
      if (!subject.stored) subject.stored = read_stored(row, transaction);
    }
  }
  return subjects;
}

DeliveryMoves::Heads DeliveryMoves::heads_of(Cursor row, const OrderColumns& columns) {
  Heads heads;
  while (row.next()) {
    const auto i = static_cast<std::size_t>(row.integer(0) - 1);
    heads.emplace(Order{columns.endpoints.at(i), columns.keys.at(i)}, row.integer(1));
  }
  return heads;
}

// Answers which of the statements it is that makes deliveries, if any is made.
std::optional<std::size_t> DeliveryMoves::add_changes(Pipeline& pipeline, const std::vector<Move>& moves,
                                                      Time at, const Transaction& transaction) {
  MoveColumns discarded, buried, revived, reset, made;
  for (const auto& [subject, to] : moves) {
    const bool pending = is_pending(*subject);
    if (to != DeliveryState::kPending) {
      (pending ? discarded : buried).add(*subject);
    } else if (subject->stored) {
      (pending ? reset : revived).add(*subject);
    } else {
      made.add(*subject);
    }
  }
  const std::int64_t due_at = millis(transaction.now()), batches = transaction.batches();
  if (!discarded.empty()) pipeline.add(discard_, discarded.events, discarded.endpoints, millis(at), batches);
  if (!buried.empty()) pipeline.add(bury_, buried.events, buried.endpoints, buried.days, millis(at), batches);
  if (!revived.empty())
    pipeline.add(revive_, revived.events, revived.endpoints, revived.days, revived.sequence_keys, due_at,
                 batches);
  if (!reset.empty())
    pipeline.add(reset_, reset.events, reset.endpoints, reset.sequence_keys, due_at, batches);
  if (made.empty()) return std::nullopt;
  pipeline.add(insert_, made.events, made.endpoints, made.days, made.priorities, made.sequence_keys, due_at,
               millis(at), batches);
  return pipeline.size() - 1;
}

DeliveryMoves::HeadChanges DeliveryMoves::set_heads(const Heads& before, const Heads& after) {
  std::vector<DeliveryKey> former, present;
  std::vector<std::string> orders_of_former;
  for (const auto& [order, event] : before) {
    const auto now = after.find(order);
    if (now == after.end() || now->second == event) continue;
    former.push_back({event, order.first});
    orders_of_former.push_back(order.second);
  }
  for (const auto& [order, event] : after) present.push_back({event, order.first});
  const KeyColumns demoting(former), promoting(present);
  Pipeline both(db_);
  both.add(demote_, demoting.events, demoting.endpoints, orders_of_former)
      .add(promote_, promoting.events, promoting.endpoints);
  both.run();
  HeadChanges changes;
  for (Cursor row = both.rows(0); row.next();) changes.demoted.push_back({row.integer(0), row.integer(1)});
  for (Cursor row = both.rows(1); row.next();) changes.promoted.push_back({row.integer(0), row.integer(1)});
  return changes;
}

void DeliveryMoves::carry_out(const std::vector<Move>& moves, Time at, bool wake, Transaction& transaction) {
  if (moves.empty()) return;
  Orders orders;
  for (const auto& [subject, to] : moves) {
    if (subject->stored && subject->stored->sequence_key)
      orders.emplace(subject->key.endpoint, *subject->stored->sequence_key);
    if (to != DeliveryState::kPending) continue;
    if (auto key = subject->sequence_key()) orders.emplace(subject->key.endpoint, std::move(*key));
  }
  const OrderColumns columns(orders);
  Pipeline changes(db_);
  if (!orders.empty()) changes.add(order_.heads(), columns.endpoints, columns.keys);
  const auto made = add_changes(changes, moves, at, transaction);
  if (!orders.empty()) changes.add(order_.heads(), columns.endpoints, columns.keys);
  changes.run();
  HeadChanges heads;
  if (!orders.empty())
    heads =
        set_heads(heads_of(changes.rows(0), columns), heads_of(changes.rows(changes.size() - 1), columns));
  Counters& counters = transaction.counters();
  for (const auto& [subject, to] : moves) {
    if (const auto& from = subject->stored)
      counters.move(subject->key.endpoint, from->day, from->delivery.state, to);
  }
  if (made) {
    for (Cursor row = changes.rows(*made); row.next();)
      counters.add(row.integer(0), row.number(1), DeliveryState::kPending, 1);
  }
  tell(moves, heads, wake, transaction);
}

void DeliveryMoves::tell(const std::vector<Move>& moves, const HeadChanges& changes, bool wake,
                         Transaction& transaction) {
  for (const DeliveryKey key : changes.demoted) transaction.tell(DeliveryWithdrawn{key});
  std::set<EndpointSeq> due;
  for (const auto& [subject, to] : moves) {
    // The copy in memory has the old attempt count and expiry, so it must be read again.
    if (to != DeliveryState::kPending || is_pending(*subject))
      transaction.tell(DeliveryWithdrawn{subject->key});
    if (to == DeliveryState::kPending) due.insert(subject->key.endpoint);
    // Whom it demoted the first time is the next one in its order.
    if (to != DeliveryState::kPending || !transaction.repeats()) continue;
    if (const auto key = subject->sequence_key()) {
      if (const auto next = order_.next_in_order(subject->key, *key))
        transaction.tell(DeliveryWithdrawn{*next});
    }
  }
  for (const DeliveryKey key : changes.promoted) due.insert(key.endpoint);
  for (const EndpointSeq endpoint : due)
    transaction.tell(DueOnDisk{.endpoint = endpoint, .due_in = Millis(0), .by_operator = wake});
}

}  // namespace outboxd::postgresql
