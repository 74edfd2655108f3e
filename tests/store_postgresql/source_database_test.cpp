// An application's PostgreSQL as a source: which numbers its rows get, and that none is lost or given twice.
#include "store/postgresql/source_database.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "migrations/embedded.h"
#include "store/postgresql/connection.h"
#include "store/postgresql/outbox_mark.h"
#include "store/postgresql/schema.h"
#include "support/private_postgres.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

constexpr std::int64_t kBeforeAll = std::numeric_limits<std::int64_t>::min();
constexpr std::size_t kMaxBytes = 1 << 20;

PrivatePostgres& server() {
  static PrivatePostgres one;
  return one;
}

class Session {
 public:
  explicit Session(const std::string& database)
      : db_({.url = server().url(database), .purpose = "application"}) {
    run("SET idle_in_transaction_session_timeout = 0; SET search_path = public");
  }
  void run(const std::string& sql) { db_.execute(sql); }
  void insert(const std::string& payload) {
    run("INSERT INTO outbox(type, payload) VALUES ('order.paid', '" + payload + "')");
  }
  std::string one(const std::string& sql) { return db_.query_text(sql); }

 private:
  postgresql::Connection db_;
};

using Numbered = std::vector<std::pair<std::int64_t, std::string>>;  // numbers, payloads

struct Application {
  std::string name = server_database();
  Session session{name};
  std::unique_ptr<Source> source;

  Application() {
    session.run(source_database_ddl());
    open();
  }
  ~Application() { source.reset(); }
  static std::string server_database() {
    static int made = 0;
    std::string name = "app_" + std::to_string(++made);
    server().create_database(name);
    return name;
  }
  std::unique_ptr<Source> opened(std::size_t max_row_bytes = kMaxBytes) const {
    return open_source_database({.url = server().url(name), .max_row_bytes = max_row_bytes});
  }
  void open() {
    source.reset();
    source = opened();
    REQUIRE(source->is_ours());
  }
  Numbered read(std::int64_t after = kBeforeAll, int limit = 500) {
    Numbered all;
    for (const auto& [row, unreadable, seq] : source->read(after, limit, kMaxBytes).rows)
      all.emplace_back(row.row, row.payload);
    return all;
  }
  void clear(std::int64_t after, std::int64_t up_to) {
    const SourceCleared cleared = source->clear(after, up_to, 500);
    CHECK(cleared.up_to == up_to);
  }
  std::string problem() const { return check_source_database(server().url(name)).problem; }
};

}  // namespace

TEST_CASE_FIXTURE(Application, "rows get numbers that only grow, however late their transactions commit") {
  Session late(name);
  late.run("BEGIN");
  late.insert("1");
  session.insert("2");
  session.insert("3");
  CHECK(read() == Numbered{{1, "2"}, {2, "3"}});
  late.run("COMMIT");
  CHECK(read(2) == Numbered{{3, "1"}});
  CHECK(read(0) == Numbered{{1, "2"}, {2, "3"}, {3, "1"}});
  clear(0, 3);
  CHECK(session.one("SELECT count(*) FROM outbox") == "0");
  session.insert("4");
  CHECK(read() == Numbered{{4, "4"}});
}

TEST_CASE_FIXTURE(Application,
                  "what was taken keeps its number when the daemon has ended, and no number is given twice") {
  for (const char* payload : {"1", "2", "3"}) session.insert(payload);
  const Numbered all{{1, "1"}, {2, "2"}, {3, "3"}};
  CHECK(read() == all);
  open();
  CHECK(read() == all);
  CHECK(read(2) == Numbered{{3, "3"}});
  const std::string database = source->read(3, 1, kMaxBytes).database;
  CHECK(database.size() == 36);
  clear(0, 2);
  open();
  CHECK(read() == Numbered{{3, "3"}});
  clear(2, 3);
  open();
  CHECK(read().empty());
  CHECK(source->read(kBeforeAll, 1, kMaxBytes).last == 3);
  session.insert("4");
  CHECK(read() == Numbered{{4, "4"}});
  CHECK(source->read(kBeforeAll, 1, kMaxBytes).database == database);
}

TEST_CASE_FIXTURE(Application, "as many rows as are asked for, and as many bytes") {
  session.run(
      "INSERT INTO outbox(type, payload) SELECT 'order.paid', to_json(repeat('x', 1000)) FROM "
      "generate_series(1, 1200)");
  std::int64_t after = 0;
  int reads = 0;
  for (; after < 1200; ++reads) {
    const SourceRows found = source->read(after, 300, 100'000);
    REQUIRE(!found.rows.empty());
    CHECK(found.rows.size() <= 100);
    for (const auto& row : found.rows) {
      CHECK(row.row.row == ++after);
      CHECK(row.seq == after);
    }
  }
  CHECK(reads >= 12);
  CHECK(source->counts(1000).waiting == 1000);
  std::int64_t cleared = 0;
  while (cleared < 1200) cleared = source->clear(cleared, 1200, 70).up_to;
  CHECK(session.one("SELECT count(*) FROM outbox") == "0");
  CHECK(session.one("SELECT count(*) FROM outbox_taken") == "1");
}

TEST_CASE_FIXTURE(Application, "a row that is too large is told of, and nothing of it is read") {
  session.run("INSERT INTO outbox(type, payload) VALUES ('order.paid', to_json(repeat('x', 100000)))");
  session.insert("2");
  source.reset();
  source = opened(10'000);
  REQUIRE(source->is_ours());
  const SourceRows found = source->read(0, 10, kMaxBytes);
  REQUIRE(found.rows.size() == 2);
  CHECK(found.rows[0].unreadable == "the row is larger than [limits] event_bytes allows");
  CHECK(found.rows[0].row.payload.empty());
  CHECK(found.rows[1].unreadable.empty());
  CHECK(found.rows[1].row.payload == "2");
}

TEST_CASE_FIXTURE(Application, "what an application may write is read as it was written") {
  session.run("ALTER TABLE outbox ADD good integer, ADD place text, ADD stored text");  // columns of its own
  session.run(
      R"(INSERT INTO outbox(type, payload, tenant, ordering_key, idempotency_key, expires_at, priority, headers)
      VALUES ('a.b', ' {"a":  1.10}', 't', 'o', 'i', '2099-11-23T15:21:00Z', 7, '{"x-shop":  "7"}'))");
  session.run(R"(INSERT INTO outbox(type, payload_bytes, content_type) VALUES ('a', '\x00ff', 'image/png'))");
  const SourceRows found = source->read(0, 10, kMaxBytes);
  REQUIRE(found.rows.size() == 2);
  const OutboxRow& first = found.rows[0].row;
  CHECK(first.type == "a.b");
  CHECK(first.payload == R"( {"a":  1.10})");
  CHECK(first.payload_is_text);
  CHECK(first.tenant == "t");
  CHECK(first.ordering_key == "o");
  CHECK(first.idempotency_key == "i");
  CHECK(first.expires_at == "2099-11-23T15:21:00Z");
  CHECK(first.priority == 7);
  CHECK(first.headers == R"({"x-shop":  "7"})");
  const OutboxRow& second = found.rows[1].row;
  CHECK(second.payload == std::string("\0\xff", 2));
  CHECK_FALSE(second.payload_is_text);
  CHECK(second.content_type == "image/png");
  CHECK_FALSE(second.tenant);
}

TEST_CASE_FIXTURE(Application,
                  "a rejected row stays, with its reason; put back, it comes with a new number") {
  for (const char* payload : {"1", "2", "3"}) session.insert(payload);
  read();
  source->reject({{2, "payload: is bad", 2}}, from_unix_millis(42));
  CHECK(read() == Numbered{{1, "1"}, {3, "3"}});
  CHECK(session.one("SELECT seq || rejected || rejected_at FROM outbox WHERE rejected IS NOT NULL") ==
        "2payload: is bad42");
  CHECK(source->counts(10).waiting == 2);
  CHECK(source->counts(10).rejected == 1);
  session.run("UPDATE outbox SET rejected = NULL, rejected_at = NULL");
  CHECK(read(3) == Numbered{{4, "2"}});
  open();
  CHECK(read() == Numbered{{1, "1"}, {3, "3"}, {4, "2"}});
  clear(0, 3);
  CHECK(session.one("SELECT string_agg(seq::text, ' ') FROM outbox") == "2");
  CHECK(read() == Numbered{{4, "2"}});
}

TEST_CASE_FIXTURE(Application, "rows that somebody deletes meanwhile are passed over") {
  for (int i = 1; i <= 6; ++i) session.insert(std::to_string(i));
  CHECK(read(kBeforeAll, 2) == Numbered{{1, "1"}, {2, "2"}});
  session.run("DELETE FROM outbox WHERE seq IN (1, 3, 4, 6)");
  CHECK(read() == Numbered{{2, "2"}, {5, "5"}});
  session.run("DELETE FROM outbox WHERE seq > 2");
  session.insert("7");
  CHECK(read(2).empty());
  CHECK(read(2) == Numbered{{7, "7"}});
  open();
  CHECK(read() == Numbered{{2, "2"}, {7, "7"}});
}

TEST_CASE_FIXTURE(Application, "one session relays at a time, and the next one when that has ended") {
  session.insert("1");
  const auto other = opened();
  CHECK_FALSE(other->is_ours());
  CHECK(other->counts(10).waiting == 1);
  CHECK(read() == Numbered{{1, "1"}});
  source.reset();
  bool ours = false;
  for (int i = 0; i < 500 && !ours; ++i) {  // the server notices the end of a session soon, and not at once
    ours = other->is_ours();
    if (!ours) other->wait(Millis(20));
  }
  REQUIRE(ours);
  CHECK(other->read(0, 10, kMaxBytes).rows.size() == 1);
}

TEST_CASE_FIXTURE(Application, "two that take at once give no number twice") {
  const auto other = opened();
  session.insert("1");
  CHECK(other->read(0, 10, kMaxBytes).last == 1);
  session.insert("2");
  CHECK(read(1) == Numbered{{2, "2"}});
  CHECK_THROWS_AS(other->read(1, 10, kMaxBytes), SourceBusy);
  CHECK(other->read(1, 10, kMaxBytes).rows.size() == 1);
  CHECK(read(2).empty());
}

TEST_CASE_FIXTURE(Application,
                  "a database that is older than what is relayed of it takes nothing, and shows that") {
  session.insert("1");
  CHECK(read().size() == 1);
  session.insert("2");
  const SourceRows found = source->read(50, 10, kMaxBytes);
  CHECK(found.rows.empty());
  CHECK(found.last == 1);
  CHECK(session.one("SELECT count(*) FROM outbox_taken") == "1");
}

TEST_CASE_FIXTURE(Application, "a lock of the application delays the deletion, and nothing else") {
  session.insert("1");
  CHECK(read().size() == 1);
  Session holder(name);
  holder.run("BEGIN; SELECT * FROM outbox FOR UPDATE");
  CHECK_THROWS_AS(source->clear(0, 1, 10), SourceBusy);
  session.insert("2");
  CHECK(read(1) == Numbered{{2, "2"}});
  holder.run("COMMIT");
  clear(0, 2);
  CHECK(session.one("SELECT count(*) FROM outbox") == "0");
}

TEST_CASE_FIXTURE(Application, "a session that is lost is a failure, and the next one goes on") {
  session.insert("1");
  session.run(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'outboxd relay'");
  CHECK_THROWS_AS(read(), SourceFailure);
  open();
  CHECK(read() == Numbered{{1, "1"}});
}

TEST_CASE_FIXTURE(Application, "what a database lacks is said, with what to do") {
  CHECK(problem().empty());
  session.run(source_database_ddl());  // again
  CHECK(problem().empty());
  CHECK(check_source_database(server().url("none")).problem.find("does not exist") != std::string::npos);
  const auto without = [&](const std::string& sql, const std::string& words) {
    INFO(sql);
    session.run("BEGIN; " + sql + "; COMMIT");
    CHECK(problem().find(words) != std::string::npos);
    CHECK_THROWS_AS(opened(), SourceFailure);
    session.run(source_database_ddl());
    CHECK(problem().empty());
  };
  without("DROP TABLE outbox_source", "no table outbox_source: outboxctl source ddl --postgresql");
  without("DROP INDEX outbox_waiting", "lacks outbox_waiting");
  without("DROP TRIGGER outbox_row_is_judged ON outbox", "lacks outbox_row_is_judged");
  session.run("ALTER TABLE outbox RENAME headers TO heads");
  CHECK(problem() ==
        "the table outbox there is not outboxd's: rename it, then outboxctl source ddl --postgresql | psql "
        "-q -1 URL");
}

TEST_CASE_FIXTURE(Application, "whoever may do too little, and what is not an application's, is told so") {
  session.run("UPDATE outbox_source SET version = 99");
  CHECK(problem().find("run a newer outboxd") != std::string::npos);
  session.run("UPDATE outbox_source SET version = 1");
  session.run("CREATE ROLE relay_" + name + " LOGIN");
  const std::string as_relay = server().url(name) + "&user=relay_" + name;
  const auto problem_of_relay = [&] { return check_source_database(as_relay).problem; };
  CHECK(problem_of_relay().find("may not SELECT in outbox") != std::string::npos);
  const std::string role = " TO relay_" + name;
  session.run("GRANT SELECT, DELETE, UPDATE (rejected, rejected_at) ON outbox" + role +
              "; GRANT SELECT ON outbox_source" + role +
              "; GRANT SELECT, INSERT, UPDATE, DELETE ON outbox_taken" + role);
  CHECK(problem_of_relay().empty());
  source.reset();
  session.insert("1");
  source = open_source_database({.url = as_relay});
  REQUIRE(source->is_ours());
  CHECK(read() == Numbered{{1, "1"}});
  source->reject({{1, "bad", 1}}, from_unix_millis(1));
  session.insert("2");
  CHECK(read() == Numbered{{2, "2"}});
  clear(1, 2);
  source.reset();

  const std::string ours = server_database();
  postgresql::Connection db({.url = server().url(ours), .purpose = "test"});
  postgresql::prepare_schema(db, embedded::postgresql_migrations());
  db.execute(source_database_ddl());
  CHECK(check_source_database(server().url(ours)).problem.find("database of an outboxd") !=
        std::string::npos);
}

TEST_CASE_FIXTURE(Application, "the application judges a row at its INSERT, as outboxd's own outbox does") {
  CHECK_THROWS_AS(session.run("INSERT INTO outbox(type, payload) VALUES ('a b', '1')"),
                  postgresql::ConstraintViolation);
  CHECK_THROWS_AS(session.run("INSERT INTO outbox(seq, type, payload) VALUES (1, 'a', '1')"), StoreError);
  session.insert("1");
  CHECK_THROWS_AS(session.run("UPDATE outbox SET payload = '2'"), postgresql::ConstraintViolation);
}

TEST_CASE_FIXTURE(Application, "a producer that rings ends the wait; a daemon that rings does not") {
  const auto waited = [&](const std::string& sql) {
    session.run(sql);
    const SystemClock clock;
    const auto began = clock.monotonic();
    source->wait(Millis(10'000));
    return clock.monotonic() - began;
  };
  CHECK(waited("NOTIFY outboxd") < Millis(90));
  CHECK(waited("NOTIFY outboxd, 'word 1'") >= Millis(90));
}

TEST_CASE("an outbox is looked at from where nothing more can come to light before") {
  using postgresql::OutboxMark;
  using namespace std::chrono_literals;
  OutboxMark mark;
  OutboxMark::Moment now{1h};
  const auto look = [&](OutboxMark::Look one, Millis takes) {
    one.from = mark.look_from(now);
    mark.looked(one, now, now + takes);
    now += takes;
    return mark.look_from(now);
  };
  // What is quick is looked at from the beginning.
  CHECK(look({.oldest_running = 5, .next_to_run = 9, .highest = 40}, 0ms) == OutboxMark::kBeginning);
  // What takes long is not: but transaction 5 may have a row before 40.
  CHECK(look({.oldest_running = 5, .next_to_run = 12}, 100ms) == OutboxMark::kBeginning);
  CHECK(look({.oldest_running = 9, .next_to_run = 14}, 0ms) ==
        OutboxMark::kBeginning);  // one may have no id yet
  now += 10s;
  CHECK(look({.oldest_running = 9, .next_to_run = 15}, 100ms) == 41);
  CHECK(look({.oldest_running = 10, .next_to_run = 16, .highest = 50}, 0ms) == 41);
  now += 10s;
  // There may be more below 50 than was found.
  CHECK(look({.oldest_running = 16, .next_to_run = 17, .highest = 45, .is_all = false}, 100ms) == 41);
  CHECK(look({.oldest_running = 16, .next_to_run = 18, .highest = 51, .is_all = false}, 0ms) == 51);
  now += 2s;
  CHECK(mark.look_from(now) == OutboxMark::kBeginning);
}
