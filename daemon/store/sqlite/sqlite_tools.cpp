#include "store/sqlite/sqlite_tools.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "store/sqlite/database.h"
#include "store/sqlite/due_statements.h"
#include "store/sqlite/file_lock.h"
#include "store/sqlite/opening.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/schema.h"

namespace outboxd {
namespace {

using namespace sqlite;

constexpr int kCacheKib = 16384;
constexpr int kPagesAtOnce = 1024;  // 4 MiB between two progress reports
constexpr const char* kMaxProblems = "100";
constexpr std::size_t kMaxNamed = 20;  // damaged events listed; the others are only counted

// What must hold between tables. Each query counts the rows for which it does not.
struct Agreement {
  const char* broken;
  const char* count;
};
constexpr Agreement kAgreements[] = {
    {"deliveries whose event is missing",
     "SELECT count(*) FROM delivery AS d WHERE NOT EXISTS (SELECT 1 FROM event WHERE seq = d.event)"},
    {"deliveries whose endpoint is missing",
     "SELECT count(*) FROM delivery AS d WHERE NOT EXISTS (SELECT 1 FROM endpoint WHERE seq = d.endpoint)"},
    {"attempts whose delivery is missing",
     "SELECT count(*) FROM attempt AS a WHERE NOT EXISTS"
     " (SELECT 1 FROM delivery WHERE event = a.event AND endpoint = a.endpoint)"},
    {"delivered deliveries without a successful attempt",
     "SELECT count(*) FROM delivery AS d WHERE d.state = 'delivered' AND NOT EXISTS"
     " (SELECT 1 FROM attempt WHERE event = d.event AND endpoint = d.endpoint AND outcome = 'success')"},
    {"deliveries in order that are wrongly behind or not behind another",
     "SELECT count(*) FROM delivery AS d WHERE d.order_key IS NOT NULL AND d.state = 'pending' AND d.behind "
     "<> EXISTS"
     " (SELECT 1 FROM delivery WHERE endpoint = d.endpoint AND order_key = d.order_key AND state = 'pending'"
     " AND event < d.event)"
     // Those of a removed endpoint are discarded in steps, without any promotion.
     " AND NOT EXISTS (SELECT 1 FROM endpoint WHERE seq = d.endpoint AND discarding = 1)"},
    {"finished deliveries that still hold a place in order",
     "SELECT count(*) FROM delivery WHERE order_key IS NOT NULL AND state <> 'pending'"},
    {"fan-outs whose event is missing",
     "SELECT count(*) FROM fan_out AS f WHERE NOT EXISTS (SELECT 1 FROM event WHERE seq = f.event)"},
    {"events whose payload was erased and is there",
     "SELECT count(*) FROM event WHERE payload_erased_at IS NOT NULL AND length(payload) > 0"},
    {"events that are counted as without a payload and have one",
     "SELECT count(*) FROM event WHERE seq <= (SELECT payloads_gone FROM counter) AND payload_erased_at IS "
     "NULL"
     " AND length(payload) > 0"},
    {"counts of event types that are wrong",
     "SELECT abs((SELECT count(*) FROM event_type) - event_types) FROM counter"},
    {"counts of events that are wrong", "SELECT abs((SELECT count(*) FROM event) - events) FROM counter"},
    {"counts of pending deliveries that are wrong",
     "SELECT abs((SELECT count(*) FROM delivery WHERE state = 'pending') - pending) FROM counter"},
    {"counts of delivered deliveries that are wrong",
     "SELECT abs((SELECT count(*) FROM delivery WHERE state = 'delivered') - delivered) FROM counter"},
    {"counts of dead letters that are wrong",
     "SELECT abs((SELECT count(*) FROM delivery WHERE state = 'dead') - dead) FROM counter"},
    {"counts of an endpoint's deliveries that are wrong",
     "SELECT count(*) FROM (SELECT endpoint, pending, delivered, dead, discarded FROM endpoint_count"
     " UNION ALL SELECT endpoint, -sum(state = 'pending'), -sum(state = 'delivered'), -sum(state = 'dead'),"
     " -sum(state = 'discarded') FROM delivery GROUP BY endpoint) GROUP BY endpoint"
     " HAVING sum(pending) <> 0 OR sum(delivered) <> 0 OR sum(dead) <> 0 OR sum(discarded) <> 0"},
    {"numbers given to events beyond the last one",
     "SELECT max(0, coalesce((SELECT max(seq) FROM event), 0) - event_seq) FROM counter"},
};

void find_damaged_events(Database& db, std::vector<std::string>& problems) {
  const EventSeq last_unchecked = db.query_int(std::string(sql::kLastUnchecked));
  Statement events(db, sql::kWholeEventsAfter);
  Cursor row(events, 0);
  std::size_t found = 0;
  while (row.next()) {
    const auto event = read_checked_event(row, row.integer(0), 1, last_unchecked);
    if (event->damaged && ++found <= kMaxNamed)
      problems.push_back("event " + std::to_string(event->seq) + " (" + event->id.to_string() +
                         ") does not match its checksum: nothing of it is sent");
  }
  if (found > kMaxNamed)
    problems.push_back(std::to_string(found - kMaxNamed) + " more events do not match their checksums");
}

void find_problems(Database& db, bool quick, std::vector<std::string>& problems) {
  {
    Statement integrity(
        db, std::string("PRAGMA ") + (quick ? "quick_check(" : "integrity_check(") + kMaxProblems + ")");
    Cursor row(integrity);
    while (row.next()) {
      if (row.view(0) != "ok") problems.push_back(row.text(0));
    }
  }
  for (const Agreement& agreement : kAgreements) {
    if (const auto count = db.query_int(agreement.count); count != 0)
      problems.push_back(std::to_string(count) + " " + agreement.broken);
  }
  if (!quick) find_damaged_events(db, problems);
}

[[noreturn]] void cannot_write(const std::string& path) {
  throw std::runtime_error("cannot write " + path + ": " + std::strerror(errno));
}

struct CloseBackup {
  void operator()(sqlite3_backup* backup) const { sqlite3_backup_finish(backup); }
};

// Makes the copy at `part`; the caller renames it when it is complete.
void copy(Database& source, const std::string& part,
          const std::function<void(std::int64_t, std::int64_t)>& progress) {
  Database copied(part, Mode::kWriter, Millis(0), kCacheKib);
  // The open transaction keeps the copy to one moment: commits of others do not make it start again.
  source.execute("BEGIN");
  source.query_int("SELECT count(*) FROM counter");
  const std::unique_ptr<sqlite3_backup, CloseBackup> backup(
      sqlite3_backup_init(copied.handle(), "main", source.handle(), "main"));
  if (!backup) copied.fail(sqlite3_errcode(copied.handle()), "beginning the backup");
  int rc = SQLITE_OK;
  while (rc == SQLITE_OK) {
    rc = sqlite3_backup_step(backup.get(), kPagesAtOnce);
    const std::int64_t all = sqlite3_backup_pagecount(backup.get());
    progress(all - sqlite3_backup_remaining(backup.get()), all);
  }
  if (rc != SQLITE_DONE)
    throw std::runtime_error(std::string("cannot copy the database: ") + sqlite3_errstr(rc));
}

void sync(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC);
  const bool done = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) close(fd);
  if (!done) cannot_write(path);
}

Database open_to_read(const SqliteOptions& options) {
  const Location location(options);
  if (!inspect_file(location))
    throw StoreError(StoreError::Kind::kCannotOpen, "there is no database " + options.path);
  Database db(location, Mode::kReader, options.busy_timeout, kCacheKib);
  if (const int version = schema_version(db); version != newest_version(embedded::sqlite_migrations())) {
    throw StoreError(StoreError::Kind::kNewerSchema,
                     options.path + " has schema " + std::to_string(version) + ", this program knows " +
                         std::to_string(newest_version(embedded::sqlite_migrations())) +
                         ": use the program of its version, or migrate it first");
  }
  return db;
}

}  // namespace

std::vector<std::string> check_sqlite(const SqliteOptions& options, bool quick) {
  std::vector<std::string> problems;
  opening(options.path, [&] {
    Database db = open_to_read(options);
    db.execute("BEGIN");
    try {
      find_problems(db, quick, problems);
    } catch (const SqliteFailure& failure) {
      if (failure.code != SQLITE_CORRUPT && failure.code != SQLITE_NOTADB) throw;
      problems.push_back(failure.what());
    }
  });
  return problems;
}

void backup_sqlite(const SqliteOptions& options, const std::string& target,
                   const std::function<void(std::int64_t done, std::int64_t all)>& progress) {
  if (std::filesystem::exists(std::filesystem::symlink_status(target)))
    throw std::runtime_error(target + " exists already: a backup never overwrites");
  const std::string part = target + ".part";
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) unlink((part + suffix).c_str());
  // As secret as the database: it holds the endpoints' signing secrets.
  const int fd = open(part.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) cannot_write(part);
  close(fd);
  try {
    opening(options.path, [&] {
      Database source = open_to_read(options);
      copy(source, part, progress);
    });
    SqliteOptions copied = options;
    copied.path = part;
    if (const auto problems = check_sqlite(copied, true); !problems.empty())
      throw std::runtime_error("the copy is damaged, and so probably is the database: " + problems.front());
  } catch (...) {
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) unlink((part + suffix).c_str());
    throw;
  }
  for (const char* suffix : {"-wal", "-shm"}) unlink((part + suffix).c_str());
  sync(part, O_RDONLY);
  if (link(part.c_str(), target.c_str()) != 0) cannot_write(target);  // unlike rename(), it never overwrites
  unlink(part.c_str());
  sync(folder_of(target), O_RDONLY | O_DIRECTORY);
}

}  // namespace outboxd
