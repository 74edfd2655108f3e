#include "store/sqlite/sqlite_store.h"

#include <filesystem>
#include <random>

#include "common/text.h"
#include "store/sqlite/file_lock.h"
#include "store/sqlite/foreign_commits.h"
#include "store/sqlite/opening.h"
#include "store/sqlite/reader.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/writer.h"

namespace outboxd {
namespace {

using namespace sqlite;

constexpr int kSmallCacheKib = 2000;

// Migrates the file to the newest schema, or creates it. Returns the version it had. The caller owns the file.
int prepare_file(const SqliteOptions& options) {
  const auto migrations = embedded::sqlite_migrations();
  const Location location(options);
  if (!inspect_file(location)) {
    create_file(options.path, migrations);
    return 0;
  }
  Database db(location, Mode::kWriter, options.busy_timeout, kSmallCacheKib);
  if (sqlite3_db_readonly(db.handle(), "main") != 0)
    unusable(options.path, SQLITE_READONLY, "no permission to write to it");
  const int version = schema_version(db);
  if (version == 0) {
    fill(db, migrations);  // it is new on a VFS of its own, or a crash came before its first table
  } else {
    migrate(db, migrations);
  }
  if (db.query_text("PRAGMA journal_mode=WAL") != "wal")
    unusable(options.path, SQLITE_IOERR, "it cannot be put into WAL mode");
  return version;
}

const Clock& clock_of(const SqliteOptions& options) {
  static const SystemClock system;
  return options.clock ? *options.clock : system;
}

DueClock::State read_due_clock(const SqliteOptions& options) {
  Database db(Location(options), Mode::kReader, options.busy_timeout, kSmallCacheKib);
  constexpr std::int64_t kLatest = 253'402'300'800'000;  // the year 10000
  const std::int64_t ahead = db.query_int("SELECT due_ahead FROM counter");
  const std::int64_t last = db.query_int("SELECT due_last FROM counter");
  if (ahead < 0 || ahead > kLatest || last < 0 || last > kLatest)
    throw CorruptValue("the times of table counter are none that outboxd wrote: the database is damaged");
  return {Millis(ahead), from_unix_millis(last)};
}

OwnerToken new_token() {
  std::random_device random;
  std::string bytes(8, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return {hex_encode(bytes)};
}

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(const SqliteOptions& options)
      : options_(options),
        file_lock_(Location(options)),
        version_before_(prepare_file(options)),
        shared_(std::make_shared<Shared>(clock_of(options), read_due_clock(options), options.on_clock_step)),
        writer_({Location(options), owner_, options.busy_timeout, options.writer_cache_kib,
                 options.ballast_bytes, options.checkpoints, options.secrets, on_error("commit")},
                *shared_),
        foreign_commits_(Location(options), options.busy_timeout, shared_->foreign) {
    // Prepares the statements that no other connection has yet, so that a damaged schema shows now.
    new_reader();
  }

  StoreWriter& writer() override { return writer_; }
  std::unique_ptr<StoreReader> new_reader() override {
    return std::make_unique<Reader>(Location(options_), options_.busy_timeout, options_.reader_cache_kib,
                                    shared_, options_.secrets, on_error("read"));
  }
  // The file lock is held while the store is open, so everything always belongs to this daemon.
  Ownership ownership() const override { return {owner_, PartitionSet().set()}; }
  void release(const PartitionSet&) override {}
  Facts wait_for_changes(Millis timeout) override {
    Facts facts;
    if (foreign_commits_.wait(timeout)) facts.emplace_back(OutboxRowsWait{});
    const auto step = shared_->due_clock.take_step();
    if (step != DueClock::Step::kNone)
      facts.emplace_back(DueTimesMoved{.by_far = step == DueClock::Step::kFarForward});
    return facts;
  }
  void interrupt() override { shared_->foreign.interrupt(); }

 private:
  std::function<void()> on_error(std::string_view op) const {
    if (!options_.on_error) return {};
    return [this, op] { options_.on_error(op); };
  }

  const SqliteOptions options_;
  const OwnerToken owner_ = new_token();
  const FileLock file_lock_;  // released last
  const int version_before_;
  std::shared_ptr<Shared> shared_;
  Writer writer_;
  ForeignCommits foreign_commits_;
};

}  // namespace

std::unique_ptr<Store> open_sqlite_store(const SqliteOptions& options) {
  return opening(options.path,
                 [&]() -> std::unique_ptr<Store> { return std::make_unique<SqliteStore>(options); });
}

SqliteSchema migrate_sqlite(const SqliteOptions& options) {
  return opening(options.path, [&] {
    const FileLock lock{Location(options)};
    return SqliteSchema{prepare_file(options), newest_version(embedded::sqlite_migrations())};
  });
}

SqliteSchema sqlite_schema(const SqliteOptions& options) {
  SqliteSchema schema{0, newest_version(embedded::sqlite_migrations())};
  const Location location(options);
  if (location.is_on_disk() && !std::filesystem::exists(options.path)) return schema;
  return opening(options.path, [&] {
    std::unique_ptr<FileLock> lock;
    try {
      lock = std::make_unique<FileLock>(location);
      inspect_file(location);
    } catch (const StoreError& error) {
      if (error.kind != StoreError::Kind::kLocked) throw;  // a daemon serves it and has inspected it
    }
    Database db(location, Mode::kReader, options.busy_timeout, kSmallCacheKib);
    schema.current = schema_version(db);
    return schema;
  });
}

}  // namespace outboxd
