// Counts accepted events by tenant and type, afterwards and in the order of their numbers, so that accepting one costs
// nothing for it and none is counted twice or left out. A part of the Writer.
#pragma once

#include <string_view>

#include "store/event_type_counts.h"
#include "store/sqlite/database.h"
#include "store/sqlite/event_type_statements.h"
#include "store/sqlite/transaction.h"

namespace outboxd::sqlite {

class EventTypeWriter : private EventTypeTable {
 public:
  explicit EventTypeWriter(Database& db) : db_(db) {}

  Result<TypesCounted> execute(const CountTypes& command, Transaction& transaction);
  // Counts up to `limit` more events. All events up to the number that it returns are counted.
  EventSeq count(std::int64_t limit, Transaction& transaction);

 private:
  bool add(std::string_view tenant, std::string_view type, const SeenEvents& seen) override;
  void insert(std::string_view tenant, std::string_view type, const SeenEvents& seen) override;

  Database& db_;
  Statement read_place_{db_, sql::kTypesCounted}, set_place_{db_, sql::kSetTypesCounted};
  Statement events_to_count_{db_, sql::kEventsToCount};
  Statement add_{db_, sql::kAddToEventType}, insert_{db_, sql::kInsertEventType};
};

}  // namespace outboxd::sqlite
