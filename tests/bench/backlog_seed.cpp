#include "bench/backlog_seed.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>

#include "bench/event_mark.h"
#include "common/clock.h"
#include "common/event_checksum.h"

namespace outboxd::bench {
namespace {

constexpr std::int64_t kRowsPerTransaction = 100'000;

// What has a default in the schema is not named here. The payload is event_mark.h's, written by SQL because a
// call for each of millions of rows is what takes the time.
constexpr const char* kInsertEvents = R"(
  INSERT INTO event (seq, id, tenant, type, payload, content_type, priority, created_at, deliveries, checksum)
  WITH RECURSIVE number (n) AS (VALUES (:from) UNION ALL SELECT n + 1 FROM number WHERE n + 1 < :until)
  SELECT seq, id, tenant, 'bench.event', payload, 'application/json', 5, :now, 1, checksum(seq, id, tenant, payload, :now)
  FROM (SELECT :base + n + 1 AS seq, uuid7(:now, n) AS id, target.tenant AS tenant,
               CAST(printf('{"s":%d,"n":%d,"t":0,"pad":"%s"}', :stream, n, :padding) AS BLOB) AS payload
        FROM number CROSS JOIN temp.target ON target.turn = n % :targets))";
constexpr const char* kInsertDeliveries = R"(
  INSERT INTO delivery (event, endpoint, state, due_at, priority, created_at)
  WITH RECURSIVE number (n) AS (VALUES (:from) UNION ALL SELECT n + 1 FROM number WHERE n + 1 < :until)
  SELECT :base + n + 1, target.endpoint, 'pending', :now, 5, :now
  FROM number CROSS JOIN temp.target ON target.turn = n % :targets)";
constexpr const char* kCount = R"(
  UPDATE counter SET event_seq = event_seq + :until - :from, events = events + :until - :from,
                     pending = pending + :until - :from)";
constexpr const char* kCountOfEndpoints = R"(
  INSERT INTO endpoint_count (endpoint, pending, delivered, dead, discarded)
  SELECT endpoint, count(*), 0, 0, 0 FROM delivery WHERE event > :base AND state = 'pending' GROUP BY endpoint
  ON CONFLICT (endpoint) DO UPDATE SET pending = pending + excluded.pending)";
constexpr const char* kTargets = R"(
  CREATE TEMP TABLE target AS
  SELECT row_number() OVER (ORDER BY seq) - 1 AS turn, seq AS endpoint, tenant FROM endpoint
  WHERE removed_at IS NULL AND tenant GLOB :tenants)";

struct Closed {
  void operator()(sqlite3* db) const { sqlite3_close(db); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

// uuid7(ms, n): RFC 9562, with n where the random bits are: unique, and in order.
void uuid7(sqlite3_context* context, int, sqlite3_value** arguments) {
  const auto ms = static_cast<std::uint64_t>(sqlite3_value_int64(arguments[0]));
  const auto n = static_cast<std::uint64_t>(sqlite3_value_int64(arguments[1]));
  const std::uint64_t halves[] = {ms << 16 | 0x7000, 0x8000'0000'0000'0000 | n};
  std::array<unsigned char, 16> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<unsigned char>(halves[i / 8] >> (8 * (7 - i % 8)));
  sqlite3_result_blob(context, bytes.data(), static_cast<int>(bytes.size()), SQLITE_TRANSIENT);
}

std::string bytes_of(sqlite3_value* value) {
  const auto* bytes = static_cast<const char*>(sqlite3_value_blob(value));
  return {bytes, bytes + sqlite3_value_bytes(value)};
}

// checksum(seq, id, tenant, payload, created_at): of an event of type bench.event that has nothing else.
void checksum(sqlite3_context* context, int, sqlite3_value** arguments) {
  Event event;
  event.seq = sqlite3_value_int64(arguments[0]);
  const std::string id = bytes_of(arguments[1]);
  std::copy(id.begin(), id.end(), event.id.uuid.bytes.begin());
  event.tenant = bytes_of(arguments[2]);
  event.type = "bench.event";
  event.payload = bytes_of(arguments[3]);
  event.created_at = from_unix_millis(sqlite3_value_int64(arguments[4]));
  sqlite3_result_int64(context, event_checksum(event));
}

class Database {
 public:
  explicit Database(const std::filesystem::path& file) {
    sqlite3* db = nullptr;
    check(sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr), "opening");
    db_.reset(db);
    check(sqlite3_create_function(db, "uuid7", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr, uuid7, nullptr,
                                  nullptr),
          "uuid7");
    check(sqlite3_create_function(db, "checksum", 5, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nullptr, checksum,
                                  nullptr, nullptr),
          "checksum");
  }

  void execute(const char* sql) { check(sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr), sql); }

  std::unique_ptr<sqlite3_stmt, Closed> prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    check(sqlite3_prepare_v2(db_.get(), sql, -1, &statement, nullptr), sql);
    return std::unique_ptr<sqlite3_stmt, Closed>(statement);
  }

  // One row of integers, or none.
  std::int64_t query(const char* sql) {
    const auto statement = prepare(sql);
    return step(statement.get()) ? sqlite3_column_int64(statement.get(), 0) : 0;
  }

  bool step(sqlite3_stmt* statement) {
    const int rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) check(rc, sqlite3_sql(statement));
    return rc == SQLITE_ROW;
  }

  void check(int rc, const std::string& doing) const {
    if (rc != SQLITE_OK)
      throw std::runtime_error("seeding a backlog: " + std::string(sqlite3_errmsg(db_.get())) + ": " + doing);
  }

 private:
  std::unique_ptr<sqlite3, Closed> db_;
};

// A parameter that a statement does not have is none of its business.
void bind(sqlite3_stmt* statement, const char* name, std::int64_t value) {
  if (const int i = sqlite3_bind_parameter_index(statement, name); i != 0)
    sqlite3_bind_int64(statement, i, value);
}
void bind(sqlite3_stmt* statement, const char* name, const std::string& value) {
  if (const int i = sqlite3_bind_parameter_index(statement, name); i != 0)
    sqlite3_bind_text(statement, i, value.c_str(), -1, SQLITE_TRANSIENT);
}

void choose_targets(Database& db, const std::string& tenant_pattern) {
  const auto statement = db.prepare(kTargets);
  bind(statement.get(), ":tenants", tenant_pattern);
  db.step(statement.get());
  db.execute("CREATE UNIQUE INDEX temp.target_by_turn ON target (turn)");
  if (db.query("SELECT count(*) FROM temp.target") == 0)
    throw std::runtime_error("seeding a backlog: no endpoint of tenants " + tenant_pattern);
}

void insert_rows(Database& db, const SeedSpec& spec) {
  const std::int64_t targets = db.query("SELECT count(*) FROM temp.target");
  const std::int64_t base = db.query("SELECT event_seq FROM counter");
  const std::int64_t now = unix_millis(SystemClock().wall());
  for (std::int64_t from = 0; from < spec.events; from += kRowsPerTransaction) {
    db.execute("BEGIN IMMEDIATE");
    for (const char* sql : {kInsertEvents, kInsertDeliveries, kCount}) {
      const auto statement = db.prepare(sql);
      bind(statement.get(), ":from", from);
      bind(statement.get(), ":until", std::min(from + kRowsPerTransaction, spec.events));
      bind(statement.get(), ":base", base);
      bind(statement.get(), ":now", now);
      bind(statement.get(), ":stream", spec.stream);
      bind(statement.get(), ":targets", targets);
      bind(statement.get(), ":padding", std::string(kPadding, 'x'));
      db.step(statement.get());
    }
    db.execute("COMMIT");
  }
  const auto count = db.prepare(kCountOfEndpoints);
  bind(count.get(), ":base", base);
  db.step(count.get());
}

void with_file(const std::filesystem::path& file, auto action) {
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || action(fd) != 0) {
    close(fd);
    throw std::runtime_error("cannot flush " + file.string());
  }
  close(fd);
}

}  // namespace

void seed_backlog(const std::filesystem::path& database, const SeedSpec& spec) {
  {
    Database db(database);
    // Nothing of this has to survive a crash; what is measured afterwards begins with everything on disk. Without
    // a WAL every page is written once and not twice.
    db.execute(
        "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-1000000; PRAGMA "
        "temp_store=MEMORY");
    choose_targets(db, spec.tenant_pattern);
    insert_rows(db, spec);
    db.execute("PRAGMA journal_mode=WAL");
  }
  with_file(database, [](int fd) { return fsync(fd); });
}

DeliveryCounts count_deliveries(const std::filesystem::path& database) {
  Database db(database);
  const auto statement = db.prepare("SELECT state, count(*) FROM delivery GROUP BY state");
  DeliveryCounts counts;
  while (db.step(statement.get())) {
    const std::string state = reinterpret_cast<const char*>(sqlite3_column_text(statement.get(), 0));
    const std::int64_t count = sqlite3_column_int64(statement.get(), 1);
    if (state == "pending") counts.pending = count;
    if (state == "delivered") counts.delivered = count;
    if (state == "dead") counts.dead = count;
  }
  return counts;
}

void forget_cached(const std::filesystem::path& database) {
  with_file(database, [](int fd) {
    const int synced = fsync(fd);
    return synced != 0 ? synced : posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  });
}

}  // namespace outboxd::bench
