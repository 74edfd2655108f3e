#include "store/sqlite/source_file.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

#include "store/sqlite/database.h"
#include "store/sqlite/file_lock.h"
#include "store/sqlite/folder_watch.h"
#include "store/sqlite/list_statements.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/source_schema.h"
#include "store/sqlite/source_statements.h"

namespace outboxd {
namespace {

using namespace sqlite;
using Monotonic = std::chrono::steady_clock;

// The application's writers go first: whoever does not get the lock soon tries again later.
constexpr Millis kBusyTimeout{20};
constexpr int kCacheKib = 1000;
constexpr int kStepsBetweenLooks = 10'000;  // of SQLite's machine, about a millisecond
constexpr int kMaxCounted = 1000;
// As in foreign_commits.cpp. In a rollback journal each question takes a lock that writers wait for, so they are fewer.
constexpr Millis kAskEvery{1}, kAskSeldom{5}, kAskFor{100}, kAskAnyway{250};

// What SQLite says, as the failure of a source.
template <class Call>
auto on_source(const std::string& path, Call call) {
  try {
    return call();
  } catch (const StoreError& error) {
    if (error.kind == StoreError::Kind::kBusy)
      throw SourceBusy(path + " is locked by the application: " + error.what());
    const auto* sqlite = dynamic_cast<const SqliteFailure*>(&error);
    if (sqlite != nullptr && sqlite->code == SQLITE_NOTADB)
      throw SourceFailure(path + " is not an SQLite database: name the application's file in [[source]] url");
    throw SourceFailure(path + ": " + error.what());
  } catch (const ConstraintViolation& error) {
    throw SourceFailure(path + ": " + error.what());
  }
}

// What can be seen of the file before it is opened. Opening it here would drop SQLite's locks when it is closed.
void check_file(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    const int error = errno;
    throw SourceFailure(path + " cannot be found: " + std::strerror(error) +
                        (error == EACCES ? "; let outboxd's user enter its folders"
                                         : "; it is looked for again until the application has made it"));
  }
  if (!S_ISREG(status.st_mode)) throw SourceFailure(path + " is not a regular file");
  const std::string folder = folder_of(path);
  struct statfs fs {};
  if (statfs(path.c_str(), &fs) == 0 && is_network_file_system(fs.f_type)) {
    throw SourceFailure(path +
                        " is on a network file system, where SQLite's locks do not hold: relay it on the"
                        " machine that has the disk");
  }
  for (const std::string& name : {path, folder}) {
    if (access(name.c_str(), R_OK | W_OK) == 0) continue;
    throw SourceFailure("outboxd cannot write to " + name + ": " + std::strerror(errno) +
                        (errno == EROFS ? "; name the folder in ReadWritePaths= of its unit"
                                        : "; let its user write to the file and its folder") +
                        " (docs/sources.md, \"An application with its own file\")");
  }
}

class WriteLock {
 public:
  explicit WriteLock(Database& db) : db_(db) {
    db_.execute("BEGIN IMMEDIATE");
    since_ = Monotonic::now();
  }
  ~WriteLock() {
    if (db_.in_transaction()) sqlite3_exec(db_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  WriteLock(const WriteLock&) = delete;
  std::chrono::microseconds commit() {
    db_.execute("COMMIT");
    return std::chrono::duration_cast<std::chrono::microseconds>(Monotonic::now() - since_);
  }

 private:
  Database& db_;
  Monotonic::time_point since_;
};

class ReadLock {
 public:
  explicit ReadLock(Database& db) : db_(db) { db_.execute("BEGIN"); }
  ~ReadLock() { sqlite3_exec(db_.handle(), "COMMIT", nullptr, nullptr, nullptr); }
  ReadLock(const ReadLock&) = delete;

 private:
  Database& db_;
};

Database open_checked(const std::string& path) {
  check_file(path);
  return on_source(path, [&] {
    Database db(path, Mode::kApplication, kBusyTimeout, kCacheKib);
    db.execute("PRAGMA trusted_schema=OFF");
    check_source_schema(db, path);
    return db;
  });
}

class SourceFile final : public Source {
 public:
  explicit SourceFile(const SourceFileOptions& options)
      : options_(options),
        path_(options.path),
        db_(open_checked(path_)),
        watch_(folder_of(path_), std::filesystem::path(path_).filename().string()) {
    sqlite3_progress_handler(db_.handle(), kStepsBetweenLooks, is_to_stop, this);
    on_source(path_, [this] {
      is_wal_ = db_.query_text("PRAGMA journal_mode") == "wal";
      // In WAL mode the log is synced after the commit, when no writer waits for it any more.
      if (is_wal_) db_.execute("PRAGMA synchronous=NORMAL");
      db_.execute("PRAGMA secure_delete=ON");  // an event's payload may have to be erased
      statements_ = std::make_unique<Statements>(db_);
    });
  }

  SourceRows read(std::int64_t after, int limit, std::size_t max_bytes) override {
    return on_source(path_, [&] {
      sqlite3_limit(db_.handle(), SQLITE_LIMIT_LENGTH, static_cast<int>(options_.max_row_bytes));
      const AtEnd lift{[this] { sqlite3_limit(db_.handle(), SQLITE_LIMIT_LENGTH, kLongest); }};
      version_ = data_version();  // before the rows: what is committed in between is noticed again
      const ReadLock lock(db_);
      return read_rows(after, limit, max_bytes);
    });
  }

  void reject(const std::vector<SourceRejection>& rows, Time at) override {
    on_source(path_, [&] {
      WriteLock lock(db_);
      for (const auto& [row, reason, seq] : rows) statements_->reject.run(row, reason, millis(at));
      lock.commit();
    });
  }

  SourceCleared clear(std::int64_t after, std::int64_t up_to, int limit) override {
    return on_source(path_, [&] {
      SourceCleared cleared{.up_to = up_to};
      {
        Cursor row(statements_->to_clear, after, up_to, limit);
        if (row.next()) cleared.rows = row.integer(1);
        if (cleared.rows == limit) cleared.up_to = row.integer(0);
      }
      if (cleared.rows == 0) return cleared;
      WriteLock lock(db_);
      statements_->clear.run(after, cleared.up_to);
      cleared.held = lock.commit();
      if (is_wal_) sync_log();
      return cleared;
    });
  }

  SourceCounts counts(int limit) override {
    return on_source(path_, [&] {
      const auto count = [limit](Statement& statement) {
        Cursor row(statement, limit);
        return row.next() ? row.integer(0) : 0;
      };
      return SourceCounts{count(statements_->count_waiting), count(statements_->count_rejected)};
    });
  }

  void check() override {
    int moved = 0;
    sqlite3_file_control(db_.handle(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (moved != 0)
      throw SourceFailure(path_ + " was removed or replaced by another file: it is opened again");
  }

  void wait(Millis at_most) override {
    const auto deadline = Monotonic::now() + at_most;
    auto asking_until = Monotonic::time_point::min();
    while (options_.stop == nullptr || !*options_.stop) {
      const auto now = Monotonic::now();
      if (now >= deadline || on_source(path_, [this] { return data_version(); }) != version_) return;
      const bool asking = watch_.fd() < 0 || now < asking_until;
      Millis pause = asking ? (is_wal_ ? kAskEvery : kAskSeldom) : kAskAnyway;
      pause = std::min(pause, std::chrono::ceil<Millis>(deadline - now));
      if (asking) {
        std::this_thread::sleep_for(pause);
        continue;
      }
      pollfd changed{watch_.fd(), POLLIN, 0};
      if (poll(&changed, 1, static_cast<int>(pause.count())) > 0 && watch_.drain())
        asking_until = Monotonic::now() + kAskFor;
    }
  }

 private:
  static constexpr int kLongest = 1'000'000'000;  // SQLite's own default
  struct AtEnd {
    std::function<void()> at_end;
    ~AtEnd() { at_end(); }
  };
  struct Statements {
    explicit Statements(Database& db)
        : data_version(db, "PRAGMA data_version"),
          identity(db, sql::kSourceIdentity),
          rows_after(db, sql::kSourceRowsAfter),
          rejected_after(db, sql::kSourceRejectedAfter),
          row(db, sql::kOutboxRow),
          reject(db, sql::kSourceReject),
          to_clear(db, sql::kSourceToClear),
          clear(db, sql::kSourceClear),
          count_waiting(db, sql::kSourceCountWaiting),
          count_rejected(db, sql::kSourceCountRejected) {}
    Statement data_version, identity, rows_after, rejected_after, row, reject, to_clear, clear, count_waiting,
        count_rejected;
  };

  static int is_to_stop(void* self) {
    const auto* stop = static_cast<SourceFile*>(self)->options_.stop;
    return stop != nullptr && *stop ? 1 : 0;
  }

  std::int64_t data_version() {
    Cursor row(statements_->data_version);
    return row.next() ? row.integer(0) : 0;
  }

  SourceRows read_rows(std::int64_t after, int limit, std::size_t max_bytes) {
    SourceRows found;
    {
      Cursor row(statements_->identity);
      if (!row.next()) throw SourceFailure(path_ + " has no row in outbox_source any more");
      found.database = row.text(0);
      found.last = row.integer(1);
    }
    std::int64_t first_rejected = INT64_MAX;
    {
      Cursor row(statements_->rejected_after, after);
      if (row.next()) first_rejected = row.integer(0);
    }
    Cursor next(statements_->rows_after, after, limit);
    std::size_t bytes = 0;
    while (bytes < max_bytes && next.next()) {
      const std::int64_t number = next.integer(0);
      if (found.rows.empty() && first_rejected < number) {
        found.after_rejected = true;
        Cursor row(statements_->rejected_after, number);
        first_rejected = row.next() ? row.integer(0) : INT64_MAX;
      }
      if (first_rejected < number) break;
      found.rows.push_back(read_row(number));
      bytes += found.rows.back().row.payload.size();
    }
    return found;
  }

  SourceRow read_row(std::int64_t number) {
    SourceRow found;
    try {
      Cursor row(statements_->row, number);
      if (!row.next()) throw SourceFailure(path_ + ": row " + std::to_string(number) + " cannot be read");
      found.row = read_outbox_row(row);
    } catch (const SqliteFailure& failure) {
      if (failure.code != SQLITE_TOOBIG) throw;
      found.unreadable = "the row is larger than [limits] event_bytes allows";
    }
    found.row.row = found.seq = number;
    return found;
  }

  // What was deleted must not be there again after a power cut, when it counts as new.
  void sync_log() {
    sqlite3_file* log = nullptr;
    sqlite3_file_control(db_.handle(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log == nullptr || log->pMethods == nullptr) return;
    if (const int rc = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL); rc != SQLITE_OK)
      throw SourceFailure(path_ + "-wal could not be synced: " + sqlite3_errstr(rc));
  }

  const SourceFileOptions options_;
  const std::string path_;
  Database db_;
  FolderWatch watch_;
  std::unique_ptr<Statements> statements_;
  bool is_wal_ = false;
  std::int64_t version_ = -1;  // as of the last read()
};

}  // namespace

std::unique_ptr<Source> open_source_file(const SourceFileOptions& options) {
  return std::make_unique<SourceFile>(options);
}

std::string source_file_ddl() {
  return source_ddl();
}

SourceFileReport check_source_file(const std::string& path) {
  SourceFileReport report;
  try {
    Database db = open_checked(path);
    on_source(path, [&] {
      db.execute("PRAGMA query_only=ON");
      report.journal_mode = db.query_text("PRAGMA journal_mode");
      const auto count = [&db](std::string_view sql) {
        Statement statement(db, sql);
        Cursor row(statement, kMaxCounted);
        return row.next() ? row.integer(0) : 0;
      };
      report.counts = {count(sql::kSourceCountWaiting), count(sql::kSourceCountRejected)};
    });
  } catch (const SourceFailure& failure) {
    report.problem = failure.what();
  }
  return report;
}

}  // namespace outboxd
