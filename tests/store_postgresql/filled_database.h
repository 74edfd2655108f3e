// A database with a month of events in it, filled with SQL: a fifth of them pending, the rest ended, one in fifty dead.
#pragma once

#include <cstdint>
#include <string>

#include "common/id.h"
#include "store/postgresql/connection.h"
#include "support/private_postgres.h"

namespace outboxd::test {

struct FilledDatabase {
  static constexpr std::int64_t kDays = 30, kEndpoints = 1000;

  // `db` has the schema and nothing else. The last event is of today.
  FilledDatabase(postgresql::Connection& db, std::int64_t number_of_events);

  std::int64_t events;
  std::int64_t first_day;
  Time time_of(EventSeq event) const;
  EventId id_of(EventSeq event) const;
  EndpointId endpoint_id(EndpointSeq endpoint) const;
};

}  // namespace outboxd::test
