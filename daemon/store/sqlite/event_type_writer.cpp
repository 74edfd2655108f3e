#include "store/sqlite/event_type_writer.h"

#include "store/sqlite/rows.h"

namespace outboxd::sqlite {

bool EventTypeWriter::add(std::string_view tenant, std::string_view type, const SeenEvents& seen) {
  add_.run(tenant, type, seen.events, millis(seen.last_at));
  return add_.changes() > 0;
}

void EventTypeWriter::insert(std::string_view tenant, std::string_view type, const SeenEvents& seen) {
  insert_.run(tenant, type, seen.events, millis(seen.last_at));
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
  SeenTypes by_type;
  {
    std::int64_t read = 0;
    Cursor row(events_to_count_, counted, limit);
    for (; row.next(); ++read) {
      by_type[{row.text(2), row.text(3)}].add(read_uuid(row.view(1)).time());
      counted = row.integer(0);
    }
    if (read < limit) counted = newest;
  }
  count_types(by_type, *this, rows);
  set_place_.run(counted, rows);
  return counted;
}

Result<TypesCounted> EventTypeWriter::execute(const CountTypes& command, Transaction& transaction) {
  const EventSeq counted = count(command.limit, transaction);
  return TypesCounted{.more = counted < transaction.counters().event_seq};
}

}  // namespace outboxd::sqlite
