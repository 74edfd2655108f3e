#include "store/postgresql/counter_rows.h"

#include <utility>
#include <vector>

namespace outboxd::postgresql {
namespace {

// A piece has the slot's number and so many times its own more. There are never as many members.
constexpr int kPieces = 1000, kLastPiece = 1'000'000;

#define OUTBOXD_ADD_COUNTS                                                                 \
  " pending = c.pending + excluded.pending, delivered = c.delivered + excluded.delivered," \
  " dead = c.dead + excluded.dead, discarded = c.discarded + excluded.discarded"
#define OUTBOXD_ON_DAY \
  " ON CONFLICT (day, slot) DO UPDATE SET events = c.events + excluded.events," OUTBOXD_ADD_COUNTS
#define OUTBOXD_ON_ENDPOINT " ON CONFLICT (endpoint, slot, day) DO UPDATE SET" OUTBOXD_ADD_COUNTS

constexpr const char* kAdd =
    "INSERT INTO counter AS c (slot, day, events, pending, delivered, dead, discarded)"
    " SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],"
    " $7::bigint[])" OUTBOXD_ON_DAY;
constexpr const char* kAddOfEndpoints =
    "INSERT INTO endpoint_count AS c (slot, endpoint, day, pending, delivered, dead, discarded)"
    " SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],"
    " $7::bigint[])" OUTBOXD_ON_ENDPOINT;
// From slot $1 to $2.
constexpr const char* kMove =
    "WITH moved AS (DELETE FROM counter AS c USING unnest($3::bigint[]) AS k(day) WHERE c.slot = $1 AND "
    "c.day = k.day"
    " RETURNING c.day, c.events, c.pending, c.delivered, c.dead, c.discarded)"
    " INSERT INTO counter AS c (slot, day, events, pending, delivered, dead, discarded)"
    " SELECT $2, * FROM moved" OUTBOXD_ON_DAY;
constexpr const char* kMoveOfEndpoints =
    "WITH moved AS (DELETE FROM endpoint_count AS c USING unnest($3::bigint[], $4::bigint[]) AS k(endpoint, "
    "day)"
    " WHERE c.endpoint = k.endpoint AND c.slot = $1 AND c.day = k.day"
    " RETURNING c.endpoint, c.day, c.pending, c.delivered, c.dead, c.discarded)"
    " INSERT INTO endpoint_count AS c (slot, endpoint, day, pending, delivered, dead, discarded)"
    " SELECT $2, * FROM moved" OUTBOXD_ON_ENDPOINT;
#undef OUTBOXD_ON_ENDPOINT
#undef OUTBOXD_ON_DAY
#undef OUTBOXD_ADD_COUNTS

// The columns of changes.
struct CountColumns {
  std::vector<std::int64_t> pending, delivered, dead, discarded;
  void add(const DeliveryCounts& change) {
    pending.push_back(change.pending);
    delivered.push_back(change.delivered);
    dead.push_back(change.dead);
    discarded.push_back(change.discarded);
  }
};

}  // namespace

CounterRows::CounterRows(Connection& db)
    : add_(db, kAdd),
      add_of_endpoints_(db, kAddOfEndpoints),
      move_(db, kMove),
      move_of_endpoints_(db, kMoveOfEndpoints) {}

void CounterRows::begin(int slot) {
  if (slot != std::exchange(slot_, slot)) piece_ = {};
  moving_ = false;
}

int CounterRows::slot_of_piece() const {
  return slot_ < 0 ? slot_ : slot_ + kPieces * piece_.number;
}

void CounterRows::ask(Pipeline& last, const Counters& changes) {
  std::vector<std::int64_t> days, events;
  CountColumns of_days;
  for (const auto& [day, change] : changes.days) {
    if (change.events == 0 && change.deliveries == DeliveryCounts{}) continue;
    days.push_back(day);
    events.push_back(change.events);
    of_days.add(change.deliveries);
  }
  std::vector<std::int64_t> endpoints, days_of_endpoints;
  CountColumns of_endpoints;
  for (const auto& [place, change] : changes.changes) {
    if (change == DeliveryCounts{}) continue;
    endpoints.push_back(place.first);
    days_of_endpoints.push_back(place.second);
    of_endpoints.add(change);
  }
  if (!days.empty())
    last.add(add_, slot_of_piece(), days, events, of_days.pending, of_days.delivered, of_days.dead,
             of_days.discarded);
  if (!endpoints.empty())
    last.add(add_of_endpoints_, slot_of_piece(), endpoints, days_of_endpoints, of_endpoints.pending,
             of_endpoints.delivered, of_endpoints.dead, of_endpoints.discarded);
  if (slot_ < 0 || (days.empty() && endpoints.empty())) return;
  piece_.days.insert(days.begin(), days.end());
  for (std::size_t i = 0; i < endpoints.size(); ++i)
    piece_.endpoints.emplace(endpoints[i], days_of_endpoints[i]);
  if (++piece_.transactions >= kMaxVersions) ask_move(last);
}

void CounterRows::ask_move(Pipeline& last) {
  std::vector<std::int64_t> endpoints, days;
  endpoints.reserve(piece_.endpoints.size());
  days.reserve(piece_.endpoints.size());
  for (const auto& [endpoint, day] : piece_.endpoints) {
    endpoints.push_back(endpoint);
    days.push_back(day);
  }
  last.add(move_, slot_of_piece(), slot_, std::vector<std::int64_t>(piece_.days.begin(), piece_.days.end()));
  last.add(move_of_endpoints_, slot_of_piece(), slot_, endpoints, days);
  moving_ = true;
}

void CounterRows::committed() {
  if (!std::exchange(moving_, false)) return;
  piece_ = {.number = piece_.number % kLastPiece + 1, .transactions = 0, .days = {}, .endpoints = {}};
}

}  // namespace outboxd::postgresql
