// Counts accepted events by tenant and type, afterwards and in the order of their numbers, so that accepting one costs
// nothing for it and none is counted twice or left out. A part of the Writer.
#pragma once

#include <string_view>

#include "store/sqlite/database.h"
#include "store/sqlite/event_type_statements.h"
#include "store/sqlite/transaction.h"

namespace outboxd::sqlite {

// Types that are counted by name. Further ones are counted together under `*`, those of each tenant apart while there
// are at most kMaxOtherTypes such rows, then all under the tenant "".
inline constexpr std::int64_t kMaxEventTypes = 10'000;
inline constexpr std::int64_t kMaxOtherTypes = 1'000;

class EventTypeWriter {
 public:
  explicit EventTypeWriter(Database& db) : db_(db) {}

  Result<TypesCounted> execute(const CountTypes& command, Transaction& transaction);
  // Counts up to `limit` more events. All events up to the number that it returns are counted.
  EventSeq count(std::int64_t limit, Transaction& transaction);

 private:
  struct Seen {
    std::int64_t events = 0;
    Time last_at{};
  };
  void add(std::string_view tenant, std::string_view type, const Seen& seen, std::int64_t& rows);
  bool add_to_row(std::string_view tenant, std::string_view type, const Seen& seen);

  Database& db_;
  Statement read_place_{db_, sql::kTypesCounted}, set_place_{db_, sql::kSetTypesCounted};
  Statement events_to_count_{db_, sql::kEventsToCount};
  Statement add_{db_, sql::kAddToEventType}, insert_{db_, sql::kInsertEventType};
};

}  // namespace outboxd::sqlite
