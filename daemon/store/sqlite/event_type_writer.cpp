#include "store/sqlite/event_type_writer.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "store/sqlite/rows.h"

namespace outboxd::sqlite {
namespace {

constexpr std::string_view kOthers = "*";  // no type may be called so

}  // namespace

bool EventTypeWriter::add_to_row(std::string_view tenant, std::string_view type, const Seen& seen) {
  add_.run(tenant, type, seen.events, millis(seen.last_at));
  return add_.changes() > 0;
}

void EventTypeWriter::add(std::string_view tenant, std::string_view type, const Seen& seen,
                          std::int64_t& rows) {
  if (add_to_row(tenant, type, seen)) return;
  const bool by_name = rows < kMaxEventTypes;
  const bool by_tenant = rows < kMaxEventTypes + kMaxOtherTypes;
  if (!by_name && add_to_row(tenant, kOthers, seen)) return;
  if (!by_tenant && add_to_row("", kOthers, seen)) return;
  insert_.run(by_tenant ? tenant : "", by_name ? type : kOthers, seen.events, millis(seen.last_at));
  ++rows;
}

EventSeq EventTypeWriter::count(std::int64_t limit, Transaction& transaction) {
  EventSeq counted = 0;
  std::int64_t rows = 0;
  {
    Cursor row(read_place_);
    if (!row.next()) throw CorruptValue("the row of table counter is missing: the database is damaged");
    counted = row.integer(0);
    rows = row.integer(1);
  }
  const EventSeq newest = transaction.counters().event_seq;
  if (counted >= newest) return counted;
  std::map<std::pair<std::string, std::string>, Seen> by_type;
  {
    std::int64_t read = 0;
    Cursor row(events_to_count_, counted, limit);
    for (; row.next(); ++read) {
      Seen& seen = by_type[{row.text(2), row.text(3)}];
      ++seen.events;
      seen.last_at = std::max(seen.last_at, read_uuid(row.view(1)).time());
      counted = row.integer(0);
    }
    if (read < limit) counted = newest;
  }
  for (const auto& [type, seen] : by_type) add(type.first, type.second, seen, rows);
  set_place_.run(counted, rows);
  return counted;
}

Result<TypesCounted> EventTypeWriter::execute(const CountTypes& command, Transaction& transaction) {
  const EventSeq counted = count(command.limit, transaction);
  return TypesCounted{.more = counted < transaction.counters().event_seq};
}

}  // namespace outboxd::sqlite
