// Rows of an application's own outbox with none of its triggers there: whatever a row holds, the relay makes an event of it or refuses it
// with a reason, and the good row beside it is relayed.
//   seq, type, payload, tenant, content_type, ordering_key, idempotency_key, headers, deliver_at, expires_at, priority, traceparent;
//   nothing for NULL, "i42" for an integer, "r1.5" for a real number, "b…" for a blob, "t…" for text, as everything else is
#include <sqlite3.h>

#include <algorithm>
#include <limits>
#include <map>

#include "common/json_span.h"
#include "common/text.h"
#include "fuzz/target.h"
#include "ingest/event_rules.h"
#include "ingest/relay.h"
#include "store/sqlite/source_file.h"
#include "support/temporary_folder.h"
#include "telemetry/log.h"

using namespace outboxd;

namespace {

constexpr std::size_t kEventBytes = 1024, kRowBytes = 2048;
constexpr int kColumns = 12;

class Application {
 public:
  Application() {
    log::configure(log::Level::kError, log::Format::kLogfmt);
    const std::string path = folder_ / "app.db";
    HOLDS(sqlite3_open(path.c_str(), &db_) == SQLITE_OK);
    run("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + source_file_ddl());
    HOLDS(sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr) == SQLITE_OK);
    insert_ = prepare(
        "INSERT INTO outbox(seq, type, payload, tenant, content_type, ordering_key, idempotency_key, headers,"
        " deliver_at, expires_at, priority, traceparent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    column_ = prepare("SELECT type, payload, rejected FROM outbox WHERE seq = ?");
    file_ = open_source_file({.path = path, .max_row_bytes = kRowBytes});
  }
  ~Application() {
    sqlite3_finalize(insert_);
    sqlite3_finalize(column_);
    sqlite3_close(db_);
  }
  Application(const Application&) = delete;

  Source& file() { return *file_; }

  // The row with that number and the good one are all that there is. False: the table takes no such row.
  bool put(std::int64_t number, fuzz::Parts& values, std::int64_t good) {
    run("BEGIN; DELETE FROM outbox; DELETE FROM sqlite_sequence");
    sqlite3_bind_int64(insert_, 1, number);
    for (int i = 2; i <= kColumns; ++i) bind(i, values.next());
    const bool taken = sqlite3_step(insert_) == SQLITE_DONE;
    sqlite3_reset(insert_);
    if (taken)
      run("INSERT INTO outbox(seq, type, payload) VALUES (" + std::to_string(good) + ", 'good', '1')");
    run(taken ? "COMMIT" : "ROLLBACK");
    return taken;
  }
  // Columns 0 to 2: type, payload, rejected.
  std::string column(std::int64_t number, int which) {
    sqlite3_bind_int64(column_, 1, number);
    HOLDS(sqlite3_step(column_) == SQLITE_ROW);
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(column_, which));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(column_, which));
    std::string value = size == 0 ? "" : std::string(bytes, size);
    sqlite3_reset(column_);
    return value;
  }

 private:
  void run(const std::string& sql) {
    HOLDS(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    HOLDS(sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr) == SQLITE_OK);
    return statement;
  }
  void bind(int i, std::string_view value) {
    if (value.empty()) {
      sqlite3_bind_null(insert_, i);
      return;
    }
    const char form = value.front();
    const std::string rest(value.substr(1));
    const auto integer = parse_int(rest);
    if (form == 'i' && integer) {
      sqlite3_bind_int64(insert_, i, *integer);
    } else if (form == 'r') {
      sqlite3_bind_double(insert_, i, std::strtod(rest.c_str(), nullptr));
    } else if (form == 'b') {
      sqlite3_bind_blob64(insert_, i, rest.data(), rest.size(), SQLITE_TRANSIENT);
    } else {
      const std::string text(value.substr(form == 't' ? 1 : 0));
      sqlite3_bind_text64(insert_, i, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    }
  }

  const test::TemporaryFolder folder_;
  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* column_ = nullptr;
  std::unique_ptr<Source> file_;
};

using Rejected = std::map<std::int64_t, std::string>;

// The file, which stays open, and what is said of its rows.
class Watched final : public Source {
 public:
  Watched(Source& file, Rejected& rejected) : file_(file), rejected_(rejected) {}

  SourceRows read(std::int64_t after, int limit, std::size_t max_bytes) override {
    return file_.read(after, limit, max_bytes);
  }
  void reject(const std::vector<SourceRejection>& rows, Time at) override {
    file_.reject(rows, at);
    for (const auto& [row, reason, seq] : rows) HOLDS(rejected_.emplace(row, reason).second);
  }
  SourceCleared clear(std::int64_t after, std::int64_t up_to, int limit) override {
    return file_.clear(after, up_to, limit);
  }
  SourceCounts counts(int limit) override { return file_.counts(limit); }
  void check() override { file_.check(); }
  void wait(Millis at_most) override { file_.wait(at_most); }

 private:
  Source& file_;
  Rejected& rejected_;
};

}  // namespace

FUZZ_TARGET(input) {
  static Application application;
  static telemetry::Metrics metrics;
  constexpr auto kHighest = std::numeric_limits<std::int64_t>::max();
  fuzz::Parts parts(input);
  const std::int64_t number = parse_int(parts.next()).value_or(7);
  const std::int64_t good = number == kHighest ? number - 1 : std::max<std::int64_t>(number, 0) + 1;
  if (!application.put(number, parts, good)) return;

  std::vector<EventDraft> events;
  Rejected rejected;
  ManualClock clock;
  Relay relay(Relay::Parts{
      .name = "shop",
      .url = "sqlite:///srv/shop.db",
      .open =
          [&](const std::atomic<bool>&) { return std::make_unique<Watched>(application.file(), rejected); },
      .stored_place = [] { return SourcePlace{}; },
      .accept =
          [&](const std::vector<EventDraft>& drafts, const std::shared_ptr<const SourceStep>&,
              const Ingest::Done& done) {
            events.insert(events.end(), drafts.begin(), drafts.end());
            done(std::vector<AcceptedEvent>(drafts.size()));
          },
      .limits = [] { return EventLimits{.event_bytes = kEventBytes, .batch_events = 1000}; },
      .clock = clock,
      .metrics = metrics});
  // The first round learns which database it is, and each other one takes what is good or what is bad.
  for (int round = 0; round < 3 && events.size() + rejected.size() < 2; ++round) relay.round();
  HOLDS(relay.status().state != SourceState::kFailing);
  HOLDS(events.size() + rejected.size() == 2);
  HOLDS(!rejected.contains(good));
  if (const auto found = rejected.find(number); found != rejected.end()) {
    HOLDS(!found->second.empty() && application.column(number, 2) == found->second);
    return;
  }
  HOLDS(number >= 1);
  const EventDraft& draft = number < good ? events.front() : events.back();
  const Event& event = draft.event;
  HOLDS(event.type == application.column(number, 0) && is_event_type(event.type));
  HOLDS(event.payload == application.column(number, 1) && event.payload.size() <= kEventBytes);
  HOLDS(!is_json_type(event.content_type) || is_json(event.payload));
  HOLDS(event.tenant != kOpsTenant && event.priority >= 0 && event.priority <= 9);
  HOLDS(is_valid_utf8(event.ordering_key.value_or("")) && is_valid_utf8(draft.idempotency_key.value_or("")));
  HOLDS(!event.traceparent || is_traceparent(*event.traceparent));
}
