// Walks along the events in the order of their numbers, over all partitions in which they lie: block by block (table
// event_block), so that each read looks into the one or two partitions of a block only. A part of the Writer's parts.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "common/id.h"
#include "store/postgresql/connection.h"

namespace outboxd::postgresql {

inline constexpr EventSeq kLastEvent = 4'398'046'511'103;  // 42 bits: no number is higher

class EventWalk {
 public:
  // `columns` of table event, the number of each event first.
  EventWalk(Connection& db, std::string_view columns);

  using Days = std::vector<std::int64_t>;
  // At most `limit` events with numbers in (after, last], but none of the days `except`. Answers how many it took: fewer
  // than `limit`, and these were all.
  std::int64_t take(EventSeq after, EventSeq last, std::int64_t limit, const Days& except,
                    const std::function<void(const Cursor&)>& take);

 private:
  Statement next_block_, of_block_;
};

}  // namespace outboxd::postgresql
