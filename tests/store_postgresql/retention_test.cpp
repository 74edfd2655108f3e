// What only the store on a server does for retention: days with much in them are emptied at once, and the partitions of
// those that are empty go; and types are counted although numbers are not in the order of commits.
#include <doctest/doctest.h>
#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "store/postgresql/days.h"
#include "store/postgresql/housekeeper.h"
#include "store/postgresql/postgres_store.h"
#include "support/private_postgres.h"
#include "support/store_values.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

// Nobody else works on a day: what vacuums it would be somebody who uses it.
PrivatePostgres& server() {
  static PrivatePostgres one;
  static const std::string quiet =
      one.sql("postgres", "ALTER SYSTEM SET autovacuum = off; SELECT pg_reload_conf()");
  return one;
}

// Another program's session.
class Session {
 public:
  explicit Session(const std::string& url) : connection_(PQconnectdb(url.c_str()), PQfinish) {}
  void run(const std::string& sql) {
    PGresult* const result = PQexec(connection_.get(), sql.c_str());
    const ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    CAPTURE(PQerrorMessage(connection_.get()));
    REQUIRE((status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK));
  }

 private:
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
};

constexpr EventSeq kEvents = 20'100, kDead = 30,
                   kPending = 20;  // the last ones are pending, those before dead
const int kDay = postgresql::day_of(kNow);

struct LargeDay {
  const std::string database = next_name();
  ManualClock clock{kNow};
  std::unique_ptr<Store> store;
  std::unique_ptr<StoreReader> reader;
  EndpointSeq endpoint = 0;

  static std::string next_name() {
    static int made = 0;
    return "large_" + std::to_string(++made);
  }
  LargeDay() {
    server().create_database(database);
    PostgresOptions options;
    options.url = server().url(database);
    options.clock = &clock;
    store = open_postgres_store(options);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!store->ownership().partitions.all() && std::chrono::steady_clock::now() < until)
      store->wait_for_changes(Millis(50));
    reader = store->new_reader();
    endpoint = (*test::apply(*store, CreateEndpoint{shared(new_endpoint())}))->seq;
  }
  ~LargeDay() {
    reader.reset();
    store.reset();
    server().drop_database(database);
  }
  std::string sql(const std::string& script) { return server().sql(database, script); }

  // As if the daemon had accepted and delivered it all.
  void fill() {
    const std::string day = std::to_string(kDay), at = std::to_string(unix_millis(kNow)),
                      last = std::to_string(kEvents), dead_from = std::to_string(kEvents - kPending - kDead),
                      pending_from = std::to_string(kEvents - kPending), to = std::to_string(endpoint);
    sql("SELECT make_day(" + day + "); SELECT setval('event_seq', " + last + ");" +
        "INSERT INTO event SELECT " + day + ", g, (lpad(to_hex(" + at +
        "), 12, '0') || '70008000' || lpad(to_hex(g), 12, '0'))::uuid, '', 'order.paid', '{}',"
        " 'application/json', NULL, 5, NULL, NULL, NULL, " +
        at + ", NULL, NULL, 1, NULL, NULL FROM generate_series(1, " + last + ") AS g;" +
        "INSERT INTO event_block VALUES (0, " + day + ");" + "INSERT INTO finished SELECT " + day + ", g, " +
        to + ", CASE WHEN g > " + dead_from + " THEN 'dead' ELSE 'delivered' END, CASE WHEN g > " +
        dead_from + " THEN 'exhausted' END, 1, 1, 0, 5, NULL, " + at + ", " + at +
        ", 0 FROM generate_series(1, " + pending_from + ") AS g;" +
        "INSERT INTO attempt SELECT day, event, endpoint, 1, gen_random_uuid(), " + at +
        ", NULL, NULL, NULL, NULL, 1, 'success', 200, '', '', NULL, '', NULL, false, 0 FROM finished;"
        "INSERT INTO pending (event, endpoint, day, due_at, priority, created_at) SELECT g, " +
        to + ", " + day + ", " + at + ", 5, " + at + " FROM generate_series(" + pending_from + " + 1, " +
        last + ") AS g;" + "INSERT INTO counter VALUES (900, " + day + ", " + last + ", 20, " + dead_from +
        ", 30, 0);" + "INSERT INTO endpoint_count VALUES (" + to + ", 900, " + day + ", 20, " + dead_from +
        ", 30, 0);" + "ANALYZE");
  }
  // What was delivered is kept for a day, dead letters for `dead_kept`; it is ten days later.
  Pruned prune(Millis dead_kept, int& steps) {
    const Time later = kNow + test::kDay * 10;
    clock.advance(std::max(later - clock.wall(), Millis(0)));
    Pruned all;
    std::optional<DeliveryKey> after = DeliveryKey{};
    for (steps = 0; after && steps < 1000; ++steps) {
      const auto done = test::apply(*store, Prune{.delivered_before = later - test::kDay,
                                                  .dead_before = later - dead_kept,
                                                  .at = later,
                                                  .limit = 256,
                                                  .after = *after});
      REQUIRE(done);
      all.events += done->events;
      all.deliveries += done->deliveries;
      all.attempts += done->attempts;
      after = done->next;
    }
    CHECK_FALSE(after);
    return all;
  }
  void count_types() {
    while (test::apply(*store, CountTypes{})->more) {
    }
  }
  std::int64_t typed() {
    const auto rows = reader->event_types({}, {10, ""});
    return rows->rows.empty() ? 0 : rows->rows[0].events;
  }
};

}  // namespace

TEST_CASE_FIXTURE(LargeDay, "a day with much in it is emptied at once, and what stays of it is kept") {
  fill();
  count_types();
  int steps = 0;
  const Pruned pruned = prune(test::kDay * 30, steps);
  CHECK(steps < 12);
  CHECK(pruned.events == kEvents - kDead - kPending);
  CHECK(pruned.deliveries == kEvents - kDead - kPending);
  CHECK(pruned.attempts > kEvents / 2);  // as the statistics say
  const StoreStatus status = reader->status();
  CHECK(status.events == kDead + kPending);
  CHECK(status.delivered == 0);
  CHECK(status.dead == kDead);
  CHECK(status.pending == kPending);
  CHECK(typed() == kEvents);

  const DeliveryKey dead{kEvents - kPending, endpoint}, waits{kEvents, endpoint};
  REQUIRE(reader->delivery(dead));
  CHECK(reader->delivery(dead)->delivery.state == DeliveryState::kDead);
  CHECK(reader->attempts(dead).size() == 1);
  CHECK(reader->event(reader->delivery(dead)->event, true)->event.payload == "{}");
  CHECK(reader->due(endpoint, 100, 1 << 20).deliveries.size() == kPending);
  CHECK_FALSE(reader->delivery({1, endpoint}));

  // Life goes on for what is kept.
  REQUIRE(test::apply(*store, delivered(waits, 1)));
  CHECK(reader->delivery(waits)->delivery.state == DeliveryState::kDelivered);
  REQUIRE(test::apply(*store, ChangeDelivery{dead, DeliveryState::kPending, kNow}));
  CHECK(reader->status().pending == kPending);
  CHECK(reader->status().dead == kDead - 1);
  CHECK(prune(test::kDay * 5, steps).events == kDead);  // the other dead letters, and what was delivered
  CHECK(reader->status().events == kPending);
  CHECK(reader->status().dead == 0);
}

TEST_CASE_FIXTURE(LargeDay, "a day that somebody reads is left for the next round, and nobody waits for it") {
  fill();
  count_types();
  Session analyst(server().url(database));
  analyst.run("BEGIN; SELECT count(*) FROM event");
  int steps = 0;
  const auto began = std::chrono::steady_clock::now();
  CHECK(prune(test::kDay * 30, steps).events == 0);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
  CHECK(reader->status().events == kEvents);
  analyst.run("COMMIT");
  CHECK(prune(test::kDay * 30, steps).events == kEvents - kDead - kPending);
}

TEST_CASE_FIXTURE(LargeDay, "partitions of empty days go, and those of the next days are made") {
  fill();
  count_types();
  int steps = 0;
  prune(test::kDay * 30, steps);
  const int today = kDay + 10;
  postgresql::Housekeeper housekeeper({.url = server().url(database), .purpose = "housekeeper"});
  housekeeper.run(today);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!housekeeper.is_idle() && std::chrono::steady_clock::now() < until) {
    housekeeper.run(today);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  CHECK(housekeeper.is_idle());
  const auto there = [this](const std::string& table) {
    return sql("SELECT to_regclass('" + table + "') IS NOT NULL").find('t') == 0;
  };
  for (const std::string table : {"event", "finished", "attempt"}) {
    CHECK_FALSE(there(table + "_20260101"));
    CHECK(there(table + "_20260111"));
    CHECK(there(table + "_20260114"));
    CHECK(there(table + "_kept"));
  }
  CHECK(reader->status().pending == kPending);
  CHECK(reader->delivery({kEvents, endpoint}));
}

TEST_CASE_FIXTURE(LargeDay,
                  "an event that is committed after one with a higher number is counted all the same") {
  Session slow(server().url(database));
  // As another daemon's transaction: it has a number of its own before it draws those of its events.
  slow.run(
      "BEGIN; SELECT pg_current_xact_id(); SELECT make_day(" + std::to_string(kDay) +
      "); INSERT INTO event SELECT " + std::to_string(kDay) +
      ", nextval('event_seq'), gen_random_uuid(), '', 'order.paid', '', 'text/plain', NULL, 5, NULL, NULL,"
      " NULL, 0, NULL, NULL, 0, NULL, NULL; INSERT INTO event_block VALUES (0, " +
      std::to_string(kDay) + ") ON CONFLICT DO NOTHING");
  slow.run("SAVEPOINT s");
  const auto counted = [this] { return sql("SELECT sum(events) FROM event_type"); };
  count_types();
  CHECK(counted().find('1') == std::string::npos);
  slow.run("COMMIT");
  REQUIRE(test::apply(*store, accepting({new_event()})));
  count_types();
  count_types();
  CHECK(typed() == 2);
  CHECK(counted().find('2') == 0);
}
