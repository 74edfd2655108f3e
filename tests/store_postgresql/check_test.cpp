// `outboxctl db check`: a database that daemons have written is whole, and of one that is damaged it is said what is.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/postgresql/postgres_store.h"
#include "store/postgresql/postgres_tools.h"
#include "support/private_postgres.h"
#include "support/store_values.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

const std::string kWhole = "whole";

PrivatePostgres& server() {
  static PrivatePostgres one;
  return one;
}

PostgresOptions options_of(const std::string& database) {
  PostgresOptions options;
  options.url = server().url(database);
  return options;
}

// Events 1 to 6: delivered; dead; pending; two of an order, of which the second waits; without a payload.
void fill() {
  const auto store = open_postgres_store(options_of(kWhole));
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!store->ownership().partitions.all() && std::chrono::steady_clock::now() < until)
    store->wait_for_changes(Millis(50));
  const EndpointSeq endpoint = (*apply(*store, CreateEndpoint{shared(new_endpoint())}))->seq;
  std::vector<NewEvent> events(3, new_event());
  for (NewEvent& event : events) event = new_event({endpoint});
  events.push_back(keyed(new_event({endpoint}), "shop"));
  events.push_back(keyed(new_event({endpoint}), "shop"));
  NewEvent nothing = new_event();
  nothing.event->payload.clear();
  events.push_back(nothing);
  for (const NewEvent& event : events) REQUIRE(apply(*store, accepting({event})));
  REQUIRE(apply(*store, delivered({1, endpoint}, 1)));
  REQUIRE(apply(*store, died({2, endpoint}, 1)));
  REQUIRE(apply(*store, failed({3, endpoint}, 1, kDay)));
  while (apply(*store, CountTypes{})->more) {
  }
}

// A database as it was left, and what somebody did to it.
struct Damaged {
  std::string database;

  explicit Damaged(const std::string& damage) {
    static const bool filled = [] {
      server().create_database(kWhole);
      fill();
      return true;
    }();
    static_cast<void>(filled);
    static int made = 0;
    database = "damaged_" + std::to_string(++made);
    server().create_database(database, kWhole);
    if (!damage.empty()) server().sql(database, damage);
  }
  ~Damaged() { server().drop_database(database); }
  Damaged(const Damaged&) = delete;

  std::string found(bool quick) const {
    std::string all;
    for (const std::string& problem : check_postgres(options_of(database), quick))
      all.append(problem).append("\n");
    return all;
  }
};

struct Damage {
  int database;  // those of one do not disturb each other
  const char* done;
  const char* found;  // by the quick check too, unless:
  bool slowly = false;
};

constexpr Damage kDamages[] = {
    {1, "DELETE FROM event WHERE seq = 3",
     "1 pending deliveries whose event is missing: event 3 to endpoint 1"},
    {1,
     "INSERT INTO pending (event, endpoint, day, due_at, priority, created_at)"
     " SELECT event, endpoint, day, 0, 5, 0 FROM finished WHERE event = 2",
     "1 deliveries that are pending and have ended too: event 2 to endpoint 1"},
    {1, "UPDATE pending SET blocked = true WHERE event = 4",
     "1 deliveries in order that are wrongly blocked or not blocked: event 4 to endpoint 1"},
    {1, "INSERT INTO fan_out SELECT 99, day, 0, 1 FROM event LIMIT 1",
     "1 fan-outs whose event is missing: event 99"},
    {1, "DELETE FROM partition_owner WHERE partition = 7", "1 partitions that are not there: partition 7"},
    {1, "UPDATE sweep SET event_types = 5", "1 counts of event types that are wrong: 5 counted, 1 there"},
    {1, "SELECT setval('event_seq', 2)", "1 numbers given beyond the last one that was drawn: event 6"},
    {1, "UPDATE counter SET pending = pending + 9",
     "1 counts of pending deliveries that are wrong: 2026-01-01: "},
    {2, "DELETE FROM endpoint", "3 pending deliveries whose endpoint is missing: event "},
    {2, "SELECT 1", "2 deliveries that have ended and whose endpoint is missing: event ", true},
    {2, "UPDATE pending SET blocked = false WHERE event = 5",
     "1 deliveries in order that are wrongly blocked or not blocked: event 5 to endpoint 1"},
    {2, "UPDATE pending SET blocked = true WHERE event = 3",
     "1 deliveries in no order that are blocked: event 3 to endpoint 1"},
    {3, "SELECT setval('endpoint_seq', 1, false)", "beyond the last one that was drawn: endpoint 1"},
    {3, "UPDATE counter SET events = events + 9", "1 counts of events that are wrong: 2026-01-01: ", true},
    {3, "UPDATE counter SET delivered = 5",
     "1 counts of delivered deliveries that are wrong: 2026-01-01: ", true},
    {3, "UPDATE counter SET dead = 5", "1 counts of dead letters that are wrong: 2026-01-01: ", true},
    {3, "UPDATE counter SET discarded = 5",
     "1 counts of discarded deliveries that are wrong: 2026-01-01: ", true},
    {3, "UPDATE endpoint_count SET dead = dead + 9",
     "1 counts of an endpoint's deliveries that are wrong: endpoint 1", true},
    {3, "DELETE FROM event WHERE seq = 1",
     "1 deliveries that have ended and whose event is missing: event 1 to endpoint 1", true},
    {3, "UPDATE attempt SET outcome = 'timeout' WHERE event = 1",
     "1 delivered deliveries without a successful attempt: event 1 to endpoint 1", true},
    {3, "DELETE FROM finished WHERE event = 2",
     "1 attempts whose delivery is missing: attempt 1 of event 2 to", true},
    {4, "SELECT make_day(20460); UPDATE event SET day = 20460 WHERE seq = 6",
     "1 events on another day than that of their id: event 6 on 2026-01-07", true},
    {4, "DELETE FROM event_block", "6 events whose day is not noted for their numbers: event ", true},
    {4, "UPDATE event SET payload_erased_at = 1 WHERE seq = 3",
     "1 events whose payload was erased and is there: event 3", true},
    {4, "UPDATE sweep SET payloads_gone = 2",
     "2 events that are counted as without a payload and have one: event ", true},
    {4, "UPDATE event SET payload = '{\"id\":43}' WHERE seq = 4", "event 4 (evt_", true},
    {4, "UPDATE event SET checksum = NULL WHERE seq = 5",
     ") does not match its checksum: nothing of it is sent", true},
};

}  // namespace

TEST_CASE("what a daemon has written is whole") {
  const Damaged nothing("");
  CHECK(nothing.found(false).empty());
  CHECK(nothing.found(true).empty());
}

TEST_CASE("each kind of damage is named, with the rows that have it") {
  for (const int database : {1, 2, 3, 4}) {
    std::string done;
    for (const Damage& damage : kDamages) {
      if (damage.database == database) done.append(damage.done).append(";");
    }
    const Damaged damaged(done);
    const std::string found = damaged.found(false), quickly = damaged.found(true);
    CAPTURE(found);
    for (const Damage& damage : kDamages) {
      if (damage.database != database) continue;
      const std::string_view expected = damage.found;
      CAPTURE(expected);
      CHECK(found.find(expected) != std::string::npos);
      CHECK((quickly.find(expected) == std::string::npos) == damage.slowly);
    }
  }
}
