#include "store/postgresql/event_type_writer.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "common/partition.h"
#include "store/rows.h"

namespace outboxd::postgresql {
namespace {

constexpr std::string_view kUnderWay =
    "SELECT transactionid::text::bigint FROM pg_locks WHERE locktype = 'transactionid'"
    " AND mode = 'ExclusiveLock' AND granted AND pid IS DISTINCT FROM pg_backend_pid()";
constexpr std::string_view kAdd =
    "UPDATE event_type SET events = events + $3, last_at = greatest(last_at, $4) WHERE tenant = $1 AND type "
    "= $2";
constexpr std::string_view kAddMany =
    "UPDATE event_type AS t SET events = t.events + u.events, last_at = greatest(t.last_at, u.last_at)"
    " FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS u(tenant, type, events, last_at)"
    " WHERE t.tenant = u.tenant AND t.type = u.type RETURNING t.tenant, t.type";
constexpr std::string_view kInsertMany =
    "INSERT INTO event_type (tenant, type, events, last_at)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])";

struct Columns {
  std::vector<std::string> tenants, types;
  std::vector<std::int64_t> events, last_at;
  explicit Columns(const SeenTypes& seen) {
    for (const auto& [type, one] : seen) {
      tenants.push_back(type.first);
      types.push_back(type.second);
      events.push_back(one.events);
      last_at.push_back(millis(one.last_at));
    }
  }
};

}  // namespace

// Types that have a row are added to it all at once, and those that have none get theirs in the end.
class EventTypeWriter::Table final : public EventTypeTable {
 public:
  Table(EventTypeWriter& writer, const SeenTypes& seen) : writer_(writer) {
    const Columns c(seen);
    Cursor row(writer_.add_many_, c.tenants, c.types, c.events, c.last_at);
    while (row.next()) added_.emplace(row.text(0), row.text(1));
  }

  bool add(std::string_view tenant, std::string_view type, const SeenEvents& seen) override {
    const std::pair<std::string, std::string> key(tenant, type);
    if (added_.erase(key) > 0) return true;
    if (const auto made = made_.find(key); made != made_.end()) {
      made->second.events += seen.events;
      made->second.last_at = std::max(made->second.last_at, seen.last_at);
      return true;
    }
    if (!is_other(type)) return false;
    writer_.add_.run(tenant, type, seen.events, millis(seen.last_at));
    return writer_.add_.changes() > 0;
  }
  void insert(std::string_view tenant, std::string_view type, const SeenEvents& seen) override {
    made_.try_emplace({std::string(tenant), std::string(type)}, seen);
  }
  void finish() {
    if (made_.empty()) return;
    const Columns c(made_);
    writer_.insert_many_.run(c.tenants, c.types, c.events, c.last_at);
  }

 private:
  EventTypeWriter& writer_;
  std::set<std::pair<std::string, std::string>> added_;
  SeenTypes made_;
};

EventTypeWriter::EventTypeWriter(Connection& db)
    : db_(db),
      events_(db, "seq, id, tenant, type"),
      place_(db, "SELECT types_counted, event_types FROM sweep FOR UPDATE"),
      set_place_(db, "UPDATE sweep SET types_counted = $1, event_types = $2"),
      newest_(db, "SELECT coalesce(pg_sequence_last_value('event_seq'), 0)"),
      under_way_(db, kUnderWay),
      add_(db, kAdd),
      add_many_(db, kAddMany),
      insert_many_(db, kInsertMany) {}

// The number up to which no more events can come; 0: not known yet.
EventSeq EventTypeWriter::settled() {
  Pipeline now(db_);
  now.add(newest_).add(
      under_way_);  // in this order: who is not under way by then and draws a number draws a higher one
  now.run();
  Cursor number = now.rows(0), running = now.rows(1);
  number.next();
  const EventSeq newest = number.integer(0);
  std::set<std::int64_t> transactions;
  while (running.next()) transactions.insert(running.integer(0));
  if (transactions.empty()) return newest;
  EventSeq settled = 0;
  const auto runs = [&transactions](std::int64_t transaction) { return transactions.contains(transaction); };
  if (horizon_ && std::ranges::none_of(horizon_->transactions, runs))
    settled = std::min(std::exchange(horizon_, std::nullopt)->newest, newest);
  if (!horizon_) horizon_ = Horizon{.newest = newest, .transactions = std::move(transactions)};
  return settled;
}

EventTypeWriter::Place EventTypeWriter::count(std::int64_t limit) {
  EventSeq counted = 0;
  std::int64_t rows = 0;
  {
    Cursor row(place_);
    if (!row.next()) throw CorruptValue("the row of table sweep is missing: the database is damaged");
    counted = row.integer(0);
    rows = row.integer(1);
  }
  const EventSeq last = settled();
  if (counted >= last) return {.counted = counted};
  SeenTypes seen;
  const std::int64_t read = events_.take(counted, last, limit, {}, [&](const Cursor& row) {
    seen[{row.text(2), row.text(3)}].add(row.uuid(1).time());
    counted = row.integer(0);
  });
  if (read < limit) counted = last;
  if (!seen.empty()) {
    Table table(*this, seen);
    count_types(seen, table, rows);
    table.finish();
  }
  set_place_.run(counted, rows);
  return {.counted = counted, .more = counted < last};
}

Result<TypesCounted> EventTypeWriter::execute(const CountTypes& command, Transaction& transaction) {
  if (!transaction.owns(kHousekeepingPartition)) return TypesCounted{};
  return TypesCounted{.more = count(command.limit).more};
}

}  // namespace outboxd::postgresql
