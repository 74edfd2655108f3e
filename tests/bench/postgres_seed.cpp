#include "bench/postgres_seed.h"

#include <libpq-fe.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bench/event_mark.h"
#include "common/clock.h"
#include "common/event_checksum.h"

namespace outboxd::bench {
namespace {

constexpr std::int64_t kDayMillis = 86'400'000;

// $n: how many, $day, $now; the events have the numbers from 1 on.
constexpr const char* kPending = R"(
SET synchronous_commit = off;
INSERT INTO pending (event, endpoint, day, due_at, priority, created_at)
SELECT n, e.seqs[1 + (n - 1) % cardinality(e.seqs)], $day, $now, 5, $now
FROM (SELECT array_agg(seq ORDER BY seq) AS seqs FROM endpoint) AS e, generate_series(1, $n::bigint) AS n;
INSERT INTO event_block SELECT block, $day FROM generate_series(0, $n::bigint >> 16) AS block ON CONFLICT DO NOTHING;
INSERT INTO counter (slot, day, events, pending, delivered, dead, discarded) VALUES (99, $day, $n, $n, 0, 0, 0);
INSERT INTO endpoint_count (endpoint, slot, day, pending, delivered, dead, discarded)
SELECT endpoint, 99, $day, count(*), 0, 0, 0 FROM pending GROUP BY endpoint;
INSERT INTO event_type (tenant, type, events, last_at)
SELECT tenant, 'bench.event', $n / count(*) OVER (), $now FROM endpoint WHERE $n >= (SELECT count(*) FROM endpoint);
UPDATE sweep SET types_counted = $n, event_types = (SELECT count(*) FROM event_type);
SELECT setval('event_seq', $n);
)";

std::string replaced(std::string text, const std::string& what, std::int64_t by) {
  const std::string number = std::to_string(by);
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at))
    text.replace(at, what.size(), number);
  return text;
}

// Rows in the binary format of COPY: the number of fields, then each behind its length.
class CopiedRows {
 public:
  explicit CopiedRows(const std::string& url) : connection_(PQconnectdb(url.c_str()), PQfinish) {
    check(PQexec(connection_.get(), "SET synchronous_commit = off"), PGRES_COMMAND_OK);
    check(PQexec(connection_.get(),
                 "COPY event (day, seq, id, tenant, type, payload, content_type, priority, created_at,"
                 " deliveries, checksum) FROM STDIN WITH (FORMAT binary)"),
          PGRES_COPY_IN);
    buffer_.append("PGCOPY\n\xff\r\n\0", 11).append(8, '\0');
  }
  void add(const Event& event, int day) {
    constexpr int kFields = 11;
    put(kFields, 2);
    integer(day, 4);
    integer(event.seq, 8);
    bytes({reinterpret_cast<const char*>(event.id.uuid.bytes.data()), event.id.uuid.bytes.size()});
    for (const std::string* text : {&event.tenant, &event.type, &event.payload, &event.content_type})
      bytes(*text);
    integer(event.priority, 2);
    integer(unix_millis(event.created_at), 8);
    integer(1, 8);
    integer(event_checksum(event), 8);
    if (buffer_.size() > kBufferBytes) flush();
  }
  void finish() {
    put(-1, 2);
    flush();
    if (PQputCopyEnd(connection_.get(), nullptr) != 1) fail();
    check(PQgetResult(connection_.get()), PGRES_COMMAND_OK);
  }

 private:
  static constexpr std::size_t kBufferBytes = std::size_t{1} << 18;

  void put(std::int64_t value, int size) {
    for (int i = size - 1; i >= 0; --i)
      buffer_.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xff));
  }
  void integer(std::int64_t value, int size) {
    put(size, 4);
    put(value, size);
  }
  void bytes(std::string_view value) {
    put(static_cast<std::int64_t>(value.size()), 4);
    buffer_.append(value);
  }
  void flush() {
    if (PQputCopyData(connection_.get(), buffer_.data(), static_cast<int>(buffer_.size())) != 1) fail();
    buffer_.clear();
  }
  void check(PGresult* result, ExecStatusType wanted) {
    const bool ok = PQresultStatus(result) == wanted;
    PQclear(result);
    if (!ok) fail();
  }
  [[noreturn]] void fail() {
    throw std::runtime_error(std::string("seeding a backlog: ") + PQerrorMessage(connection_.get()));
  }

  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
  std::string buffer_;
};

std::vector<std::string> tenants_of(const PostgresServer& server, const std::string& database) {
  const std::string rows = server.sql(database, "SELECT tenant FROM endpoint ORDER BY seq");
  std::vector<std::string> tenants;
  for (std::size_t from = 0; from <= rows.size();) {
    const std::size_t end = std::min(rows.find('\n', from), rows.size());
    tenants.push_back(rows.substr(from, end - from));
    from = end + 1;
  }
  return tenants;
}

void copy_events(const PostgresServer& server, const std::string& database, std::int64_t events, Time now) {
  const SystemClock clock;
  UuidGenerator ids(clock);
  const auto tenants = tenants_of(server, database);
  const auto day = static_cast<int>(unix_millis(now) / kDayMillis);
  CopiedRows rows(server.url(database));
  for (std::int64_t n = 0; n < events; ++n) {
    Event event;
    event.seq = n + 1;
    event.id = EventId{ids.next()};
    event.tenant = tenants[static_cast<std::size_t>(n) % tenants.size()];
    event.type = "bench.event";
    event.payload = payload_of({0, n, 0});
    event.content_type = "application/json";
    event.created_at = now;
    rows.add(event, day);
  }
  rows.finish();
}

}  // namespace

void seed_backlog(const PostgresServer& server, const std::string& database, std::int64_t events) {
  const Time now = SystemClock().wall();
  const std::int64_t day = unix_millis(now) / kDayMillis;
  server.sql(database, "SELECT make_day(" + std::to_string(day) + ")");
  std::exception_ptr failure;
  std::thread copying([&] {
    try {
      copy_events(server, database, events, now);
    } catch (...) {
      failure = std::current_exception();
    }
  });
  std::string script = replaced(replaced(kPending, "$day", day), "$now", unix_millis(now));
  server.sql(database, replaced(std::move(script), "$n", events));
  copying.join();
  if (failure) std::rethrow_exception(failure);
  server.sql(database, "VACUUM (ANALYZE) pending, event");
  server.sql(database, "CHECKPOINT");
}

}  // namespace outboxd::bench
