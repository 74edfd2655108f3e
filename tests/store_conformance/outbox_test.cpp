#include <thread>

#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

NewEvent from_row(std::int64_t row) {
  NewEvent e = new_event();
  e.outbox_row = row;
  return e;
}

const char* const kInsert = "INSERT INTO outbox(type, payload) VALUES ('order.paid', '{\"id\": 1.10}')";

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a producer's row is read with its bytes, and gone once it is an event") {
  REQUIRE(subject->produce(
      "INSERT INTO outbox(type, payload, tenant, ordering_key, idempotency_key, deliver_at, expires_at,"
      " priority, headers, traceparent) VALUES ('order.paid', '{\"id\": 1.10}', 'acme', 'o', 'i',"
      " 1767225600000, '2999-01-02T00:00:00Z', 7, '{\"x-a\":\"1\"}', '00-ab')"));
  const auto rows = reader->outbox(10, 1000);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].type == "order.paid");
  CHECK(rows[0].payload == "{\"id\": 1.10}");
  CHECK(rows[0].payload_is_text);
  CHECK(rows[0].tenant == "acme");
  CHECK(rows[0].ordering_key == "o");
  CHECK(rows[0].idempotency_key == "i");
  CHECK(rows[0].deliver_at == "1767225600000");
  CHECK(rows[0].expires_at == "2999-01-02T00:00:00Z");
  CHECK(rows[0].priority == 7);
  CHECK(rows[0].headers == "{\"x-a\":\"1\"}");
  CHECK(rows[0].traceparent == "00-ab");
  CHECK_FALSE(rows[0].content_type);
  CHECK_FALSE(rows[0].rejected);
  const auto answer = accept({from_row(rows[0].row)});
  CHECK_FALSE(answer->events[0].row_deleted);
  CHECK(reader->outbox(10, 1000).empty());
  CHECK(reader->status().events == 1);
}

TEST_CASE_FIXTURE(Fixture, "a row that is gone is withdrawn: no event, and no key taken") {
  REQUIRE(subject->produce(kInsert));
  const auto row = reader->outbox(1, 1000)[0].row;
  accept({from_row(row)});
  CHECK(accept({from_row(row)})->events[0].row_deleted);
  const auto keyed = accept({with_key(from_row(row), "k", 'a')});
  CHECK(keyed->events[0].row_deleted);
  CHECK(reader->status().events == 1);
  CHECK(accept({with_key(new_event(), "k", 'b')}));
}

TEST_CASE_FIXTURE(Fixture, "a duplicate from the outbox takes its row away too; a refused one leaves it") {
  accept({with_key(new_event(), "k", 'a')});
  REQUIRE(subject->produce(kInsert));
  const auto row = reader->outbox(1, 1000)[0].row;
  CHECK_FALSE(accept({with_key(from_row(row), "k", 'b')}));
  CHECK(reader->outbox(1, 1000).size() == 1);
  CHECK(accept({with_key(from_row(row), "k", 'a')})->events[0].duplicate);
  CHECK(reader->outbox(1, 1000).empty());
}

TEST_CASE_FIXTURE(Fixture, "row numbers do not come back") {
  REQUIRE(subject->produce(kInsert));
  const auto row = reader->outbox(1, 1000)[0].row;
  accept({from_row(row)});
  REQUIRE(subject->produce(kInsert));
  CHECK(reader->outbox(1, 1000)[0].row > row);
}

TEST_CASE_FIXTURE(Fixture, "rows are read in order, bounded in number and bytes") {
  for (int i = 0; i < 5; ++i) REQUIRE(subject->produce(kInsert));
  CHECK(reader->outbox(3, 1000).size() == 3);
  CHECK(reader->outbox(10, 25).size() == 2);
  CHECK(reader->outbox(10, 1).size() == 1);
  CHECK(reader->outbox(10, 1000)[0].row < reader->outbox(10, 1000)[4].row);
}

TEST_CASE_FIXTURE(Fixture, "a rejected row is kept with its reason, counted, listed, and waits no more") {
  for (int i = 0; i < 3; ++i) REQUIRE(subject->produce(kInsert));
  const auto rows = reader->outbox(10, 1000);
  apply(RejectOutboxRow{rows[0].row, kNow, "headers: refused"});
  apply(RejectOutboxRow{rows[2].row, kNow, "type: unknown"});
  CHECK(reader->outbox(10, 1000).size() == 1);
  CHECK(reader->status().outbox_rejected == 2);
  const auto rejected = reader->rejected_outbox({1, ""});
  REQUIRE(rejected->rows.size() == 1);
  CHECK(rejected->rows[0].rejected == "type: unknown");
  REQUIRE(rejected->next);
  const auto second = reader->rejected_outbox({1, *rejected->next});
  CHECK(second->rows[0].rejected == "headers: refused");
  CHECK(second->rows[0].rejected_at == kNow);
  CHECK_FALSE(second->next);
  CHECK(accept({from_row(rows[0].row)})->events[0].row_deleted);
}

TEST_CASE_FIXTURE(Fixture, "a blob is kept byte for byte") {
  REQUIRE(subject->produce(
      "INSERT INTO outbox(type, payload, content_type) VALUES ('a.b', X'00FF7B', 'application/x-own')"));
  const auto row = reader->outbox(1, 1000)[0];
  CHECK_FALSE(row.payload_is_text);
  CHECK(row.payload == std::string("\x00\xff{", 3));
}

TEST_CASE_FIXTURE(Fixture, "what the schema can judge is refused at the INSERT") {
  for (const char* values :
       {"('', '{}')", "('a..b', '{}')", "('.a', '{}')", "('a.', '{}')", "('a b', '{}')", "(NULL, '{}')",
        "('ü', '{}')", "('a', NULL)", "('a', 1)", "('a', '{')", "('a', X'7B')"}) {
    CAPTURE(values);
    CHECK_FALSE(subject->produce(std::string("INSERT INTO outbox(type, payload) VALUES ") + values));
  }
  CHECK_FALSE(subject->produce("INSERT INTO outbox(type, payload) VALUES (printf('%.129c', 'x'), '{}')"));
  for (const char* more :
       {"priority) VALUES ('a', '{}', 10", "priority) VALUES ('a', '{}', 'high'",
        "deliver_at) VALUES ('a', '{}', 'soon'", "deliver_at) VALUES ('a', '{}', 1767225600",
        "headers) VALUES ('a', '{}', '[]'", "headers) VALUES ('a', '{}', 'x'",
        "idempotency_key) VALUES ('a', '{}', ''", "expires_at) VALUES ('a', '{}', 1.5"}) {
    CAPTURE(more);
    CHECK_FALSE(subject->produce(std::string("INSERT INTO outbox(type, payload, ") + more + ")"));
  }
  CHECK_FALSE(subject->produce("INSERT OR IGNORE INTO outbox(type, payload) VALUES ('a', '{')"));
  CHECK(reader->outbox(10, 1000).empty());
  CHECK(subject->produce("INSERT INTO outbox(type, payload) VALUES ('A-1_b.c', X'5B5D')"));
}

TEST_CASE_FIXTURE(Fixture, "a producer's row cannot be changed after its INSERT") {
  REQUIRE(subject->produce(kInsert));
  CHECK_FALSE(subject->produce("UPDATE outbox SET payload = '{}'"));
  CHECK(subject->produce("DELETE FROM outbox"));
}

TEST_CASE_FIXTURE(Fixture, "the wait ends soon after another process committed a row") {
  std::thread producer([this] { subject->produce(kInsert); });
  const auto begin = std::chrono::steady_clock::now();
  while (reader->outbox(1, 1000).empty() &&
         std::chrono::steady_clock::now() - begin < std::chrono::seconds(20)) {
    store().wait_for_changes(std::chrono::seconds(20));
  }
  producer.join();
  CHECK(reader->outbox(1, 1000).size() == 1);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}

TEST_CASE_FIXTURE(Fixture,
                  "the wait ends at its timeout, and at once when interrupted, even before it began") {
  const auto begin = std::chrono::steady_clock::now();
  store().wait_for_changes(Millis(20));
  CHECK(std::chrono::steady_clock::now() - begin >= Millis(20));
  store().interrupt();
  store().wait_for_changes(std::chrono::seconds(60));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(30));
}
