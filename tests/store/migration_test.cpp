// Databases of earlier schemas, brought up to date by opening them.
#include <doctest/doctest.h>

#include "store/sqlite/schema.h"
#include "store/sqlite/sqlite_store.h"
#include "store/sqlite/sqlite_tools.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

// An endpoint, and two events with the same ordering key: each pending there, the second one due a second
// after the first. A third, in no order, is dead.
constexpr const char* kSchema1 = R"(
  INSERT INTO endpoint VALUES (1, x'019b76da800070008000000000000001', 'https://example.com/hook', 'shop', 'acme',
    '["order.*"]', '[]', '[]', 'raw', 3000, '[0,5000]', 4, 'paused', '', '{"a":1}', 1767225600000, 1767225600000, NULL, 0);
  INSERT INTO event VALUES (1, x'019b76da800070008000000000000011', 'acme', 'order.paid', x'7b7d', 'application/json', 'k', 5,
    NULL, NULL, 1767225600000, NULL, NULL, 1);
  INSERT INTO event VALUES (2, x'019b76da800070008000000000000012', 'acme', 'order.paid', x'7b7d', 'application/json', 'k', 5,
    NULL, NULL, 1767225600000, NULL, NULL, 1);
  INSERT INTO event VALUES (3, x'019b76da800070008000000000000013', 'acme', 'order.paid', x'7b7d', 'application/json', NULL, 5,
    NULL, NULL, 1767225600000, NULL, NULL, 1);
  INSERT INTO delivery VALUES (1, 1, 'pending', NULL, 2, 2, 1767225600000, 5, 'k', 'http_5xx', 1767225600000, NULL);
  INSERT INTO delivery VALUES (2, 1, 'pending', NULL, 0, 0, 1767225601000, 5, 'k', NULL, 1767225600000, NULL);
  INSERT INTO delivery VALUES (3, 1, 'dead', 'gone', 1, 1, 1767225600000, 5, NULL, 'http_4xx', 1767225600000, 1767225600000);
  INSERT INTO attempt VALUES (3, 1, 1, x'019b76da800070008000000000000021', 1767225600000, 0, 1, NULL, 2, 3, 'http_4xx', 410,
    'HTTP status 410', 'POST https://example.com/hook', NULL, x'');
  UPDATE counter SET event_seq = 3, endpoint_seq = 1, events = 3, pending = 2, dead = 1;
)";

// The same, and in schema 4: an event that expires, pending at the endpoint, and one that waits behind it in order.
constexpr const char* kSchema4 = R"(
  INSERT INTO event VALUES (4, x'019b76da800070008000000000000014', 'acme', 'order.paid', x'7b7d', 'application/json', 'k', 5,
    NULL, NULL, 1767225600000, NULL, 1767225609000, 1);
  INSERT INTO event VALUES (5, x'019b76da800070008000000000000015', 'acme', 'order.paid', x'7b7d', 'application/json', 'k', 5,
    NULL, NULL, 1767225600000, NULL, 1767225608000, 1);
  INSERT INTO event VALUES (6, x'019b76da800070008000000000000016', 'acme', 'order.paid', x'7b7d', 'application/json', 'k', 5,
    NULL, NULL, 1767225600000, NULL, 1767225608000, 1);
  INSERT INTO delivery (event, endpoint, state, due_at, priority, order_key, behind, created_at)
    VALUES (4, 1, 'pending', 1767225700000, 5, 'k', 0, 1767225600000), (5, 1, 'pending', 1767225600000, 5, 'k', 1, 1767225600000);
  INSERT INTO delivery (event, endpoint, state, due_at, priority, created_at, finished_at)
    VALUES (6, 1, 'delivered', 1767225600000, 5, 1767225600000, 1767225600000);
  UPDATE counter SET event_seq = 6, events = 6, pending = 4, delivered = 1;
)";

struct Schema1 {
  ManualClock clock{kNow};
  TemporaryFolder folder;
  SqliteOptions options;
  Schema1() {
    options.path = folder / "outbox.db";
    options.clock = &clock;
    sqlite::create_file(options.path, embedded::sqlite_migrations().first(1));
    sqlite::Database(options.path, sqlite::Mode::kWriter, Millis(1000), 1000).execute(kSchema1);
  }
};

struct Schema4 : Schema1 {
  Schema4() {
    sqlite::Database db(options.path, sqlite::Mode::kWriter, Millis(1000), 1000);
    sqlite::migrate(db, embedded::sqlite_migrations().first(4));
    db.execute(kSchema4);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Schema1,
                  "what was pending in schema 1 is due as before, in no order, and its counts stay") {
  CHECK(sqlite_schema(options).current == 1);
  const auto store = open_sqlite_store(options);
  CHECK(sqlite_schema(options).current == sqlite_schema(options).known);
  const auto reader = store->new_reader();
  auto window = reader->due(1, 10, 1000);
  REQUIRE(window.deliveries.size() == 1);
  CHECK(window.deliveries[0].key == DeliveryKey{1, 1});
  CHECK(window.deliveries[0].attempts == 2);
  CHECK_FALSE(window.deliveries[0].sequence_key);
  CHECK(window.deliveries[0].event->ordering_key == "k");
  CHECK(window.next_due_in == Millis(1000));
  clock.advance(Millis(1000));
  CHECK(reader->due(1, 10, 1000).deliveries.size() == 2);
  CHECK(reader->delivery({3, 1})->delivery.reason == DeadReason::kGone);
  const auto attempts = reader->attempts({3, 1});
  REQUIRE(attempts.size() == 1);
  CHECK(attempts[0].status == 410);
  CHECK(attempts[0].remote_address.empty());
  CHECK_FALSE(attempts[0].resent);
  CHECK(reader->status().pending == 2);
  CHECK(reader->status().dead == 1);
  CHECK(reader->unfinished_fan_outs(0, 10).empty());
}

TEST_CASE_FIXTURE(Schema1,
                  "endpoints of schema 1 keep what they had; what is new is as if it had not been given") {
  const auto endpoints = open_sqlite_store(options)->new_reader()->all_endpoints().endpoints;
  REQUIRE(endpoints.size() == 1);
  const Endpoint& e = endpoints[0];
  CHECK(e.url == "https://example.com/hook");
  CHECK(e.types == std::vector<std::string>{"order.*"});
  CHECK(e.retry_schedule == std::vector<Millis>{Millis(0), Millis(5000)});
  CHECK(e.max_in_flight == 4);
  CHECK(e.state == EndpointState::kPaused);
  CHECK(e.metadata == R"({"a":1})");
  CHECK_FALSE(e.rate_limit);
  CHECK(e.ordering == Ordering::kNone);
  CHECK(e.on_failure_in_order == OnFailureInOrder::kBlock);
  CHECK_FALSE(e.failing_since);
}

TEST_CASE_FIXTURE(Schema1, "a database of schema 1 goes on where it was") {
  const auto store = open_sqlite_store(options);
  const NewEvent event = new_event({1});
  const Applied applied = apply_all(*store, {delivered({1, 1}, 3), accepting({event})});
  CHECK_FALSE(only<OutcomeRecorded>(applied.facts).at(0).promoted);
  CHECK(event.event->seq == 4);
  clock.advance(Millis(1000));
  CHECK(store->new_reader()->due(1, 10, 1000).deliveries.size() == 2);
  sqlite::Database db(options.path, sqlite::Mode::kReader, Millis(1000), 1000);
  CHECK(db.query_text("PRAGMA integrity_check") == "ok");
}

TEST_CASE_FIXTURE(Schema4,
                  "what was pending in schema 4 expires when its event does, and is seen behind others") {
  CHECK(sqlite_schema(options).current == 4);
  const auto store = open_sqlite_store(options);
  const auto reader = store->new_reader();
  const auto expired = reader->expired(kNow + Millis(9000), {}, 10);
  REQUIRE(expired.size() == 2);
  CHECK(expired[0].key == DeliveryKey{5, 1});
  CHECK(expired[1].key == DeliveryKey{4, 1});
  CHECK(reader->oldest_due(0, 10).at(0).age == Millis(0));
  CHECK(reader->counts(1, 10).deliveries == DeliveryCounts{4, 1, 1, 0});
  CHECK(reader->status().pending == 4);
  CHECK(reader->status().delivered == 1);
}

TEST_CASE_FIXTURE(Schema1,
                  "events of before have no checksum and are sent all the same; those since then have one") {
  const auto store = open_sqlite_store(options);
  REQUIRE(apply(*store, accepting({new_event({1})})));
  clock.advance(Millis(1000));
  bool has_checksum = true;
  const auto damaged = [&] {
    std::vector<EventSeq> found;
    for (const auto& due : store->new_reader()->due(1, 10, 1000).deliveries) {
      if (due.event->damaged) found.push_back(due.key.event);
      CHECK(due.event->json_checked == (due.key.event == 4 && has_checksum));
    }
    return found;
  };
  CHECK(damaged().empty());
  CHECK(check_sqlite(options, false).empty());
  sqlite::Database db(options.path, sqlite::Mode::kWriter, Millis(1000), 1000);
  db.execute("UPDATE event SET payload = x'7b7e'");
  CHECK(damaged() == std::vector<EventSeq>{4});
  db.execute("UPDATE event SET checksum = NULL");  // as damage that takes it away
  has_checksum = false;
  CHECK(damaged() == std::vector<EventSeq>{4});
  const auto problems = check_sqlite(options, false);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].starts_with("event 4 (evt_"));
  CHECK(check_sqlite(options, true).empty());
}

TEST_CASE_FIXTURE(Schema1,
                  "of endpoints with the same name the oldest keeps it, and the others say whose it was") {
  {
    sqlite::Database db(options.path, sqlite::Mode::kWriter, Millis(1000), 1000);
    db.execute(R"(
      INSERT INTO endpoint SELECT 2, x'019b76da8000700080000000000000a2', url, name, tenant, types, secrets, headers, format, timeout,
        retry_schedule, max_in_flight, state, disabled_reason, metadata, created_at, updated_at, removed_at, discarding FROM endpoint;
      INSERT INTO endpoint SELECT 3, x'019b76da8000700080000000000000a3', url, name, '', types, secrets, headers, format, timeout,
        retry_schedule, max_in_flight, state, disabled_reason, metadata, created_at, updated_at, removed_at, discarding FROM endpoint
        WHERE seq = 1;
      UPDATE counter SET endpoint_seq = 3;)");
  }
  const auto endpoints = open_sqlite_store(options)->new_reader()->all_endpoints().endpoints;
  REQUIRE(endpoints.size() == 3);
  CHECK(endpoints[0].name == "shop");
  CHECK(endpoints[1].name == "shop-0000000000a2");
  CHECK(endpoints[2].name == "shop");
}

TEST_CASE("rows of the outbox survive the migration that has them judged at the INSERT, whatever they hold") {
  const TemporaryFolder folder;
  SqliteOptions options;
  options.path = folder / "outbox.db";
  sqlite::create_file(options.path, embedded::sqlite_migrations().first(4));
  const auto rows = [&] {
    sqlite::Database db(options.path, sqlite::Mode::kReader, Millis(1000), 1000);
    return db.query_text(
        "SELECT group_concat(seq || type || payload || ifnull(tenant, '') || ifnull(rejected, '') || "
        "ifnull(rejected_at, ''), '|')"
        " FROM outbox");
  };
  {
    sqlite::Database db(options.path, sqlite::Mode::kWriter, Millis(1000), 1000);
    db.execute(
        "INSERT INTO outbox(seq, type, payload, tenant) VALUES (7, 'a.b', ' 1 ', 'no tenant!'), (9, 'a.b', "
        "x'31', '_ops')");
    db.execute(
        "UPDATE outbox SET rejected = 'x', rejected_at = 5 WHERE seq = 9; DELETE FROM outbox WHERE seq = 8");
    db.execute(
        "INSERT INTO outbox(seq, type, payload) VALUES (40, 'a.b', '1'); DELETE FROM outbox WHERE seq = 40");
  }
  const std::string before = rows();
  CHECK(migrate_sqlite(options).current == 4);
  CHECK(rows() == before);
  sqlite::Database db(options.path, sqlite::Mode::kWriter, Millis(1000), 1000);
  db.execute("INSERT INTO outbox(type, payload) VALUES ('a.b', '1')");
  CHECK(db.query_int("SELECT max(seq) FROM outbox") == 41);  // no number comes back
  CHECK(db.query_text("PRAGMA integrity_check") == "ok");
}

TEST_CASE("a connection that trusts no schema can read and write the database") {
  const TemporaryFolder folder;
  SqliteOptions options;
  options.path = folder / "outbox.db";
  sqlite::create_file(options.path, embedded::sqlite_migrations());
  sqlite::Database db(options.path, sqlite::Mode::kWriter, Millis(1000), 1000);
  sqlite3_db_config(db.handle(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, nullptr);
  db.execute("PRAGMA trusted_schema=OFF");
  db.execute(
      "INSERT INTO outbox(type, payload, headers, deliver_at) VALUES ('a.b', '{\"a\": 1}', '{\"x-a\": "
      "\"1\"}', datetime('now'))");
  CHECK_THROWS_WITH_AS(db.execute("INSERT INTO outbox(type, payload, tenant) VALUES ('a.b', '1', '_ops')"),
                       doctest::Contains("tenant: _ops is reserved"), sqlite::ConstraintViolation);
  for (const char* table :
       {"event", "endpoint", "delivery", "attempt", "idempotency", "counter", "outbox", "fan_out"})
    db.query_int("SELECT count(*) FROM " + std::string(table));
}

TEST_CASE_FIXTURE(Schema4,
                  "events of before the types were counted are counted too, and nothing of theirs is lost") {
  const auto store = open_sqlite_store(options);
  const auto reader = store->new_reader();
  const auto seen = [&] {
    const auto rows = reader->event_types({}, {10, ""});
    REQUIRE(rows);
    REQUIRE(rows->rows.size() == 1);
    CHECK(rows->rows[0].tenant == "acme");
    CHECK(rows->rows[0].type == "order.paid");
    return rows->rows[0].events;
  };
  CHECK(seen() == 6);
  apply_all(*store, {CountTypes{.limit = 4}});
  CHECK(seen() == 6);
  apply_all(*store, {CountTypes{.limit = 4}});
  CHECK(seen() == 6);
  EventFilter unmatched;
  unmatched.unmatched = true;
  CHECK(reader->events(unmatched, {10, ""})->rows.empty());
}
