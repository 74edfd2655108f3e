#include "store/sqlite/database.h"

#include <mutex>
#include <string_view>
#include <utility>

#include "store/sqlite/application_vfs.h"
#include "store/sqlite/log_vfs.h"

namespace outboxd::sqlite {

void Database::fail(int rc, std::string_view doing) const {
  if (on_error_) on_error_();
  sqlite3* const db = db_.get();
  std::string what = "SQLite: ";
  what += db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
  const int system = db ? sqlite3_system_errno(db) : 0;
  what += " (code " + std::to_string(db ? sqlite3_extended_errcode(db) : rc);
  if (system != 0) what += ", errno " + std::to_string(system);
  what += ") while " + std::string(doing);
  switch (rc & 0xff) {
    case SQLITE_BUSY:
      throw StoreError(StoreError::Kind::kBusy, what);
    case SQLITE_FULL:
      throw StoreError(StoreError::Kind::kFull, what);
    case SQLITE_CONSTRAINT:
      throw ConstraintViolation(what);
    default:
      throw SqliteFailure(rc & 0xff, what);
  }
}

namespace {

decltype(sqlite3_vfs::xAccess) look_for_file = nullptr;

// The database is in WAL mode from the start, so a rollback journal beside it is never ours. SQLite would take whatever
// file is there for the journal of a crash, and delete the file named in its last bytes, or wait for ever if it is a
// FIFO.
int look_for_no_journal(sqlite3_vfs* vfs, const char* name, int flags, int* found) {
  if (!std::string_view(name).ends_with("-journal")) return look_for_file(vfs, name, flags, found);
  *found = 0;
  return SQLITE_OK;
}

void set_up_sqlite() {
  // Memory statistics cost a global lock around every allocation. The call fails, harmlessly, if SQLite is already in
  // use.
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  sqlite3_initialize();
  sqlite3_vfs* const vfs = sqlite3_vfs_find("unix");
  register_application_vfs(*vfs);
  look_for_file = std::exchange(vfs->xAccess, look_for_no_journal);
  register_log_vfs(*sqlite3_vfs_find(nullptr));
}

// Asks SQLite, not the file system, so that it works on every VFS. `which`: an SQLITE_FCNTL_..._POINTER. 0: not open.
std::int64_t size_of(sqlite3* db, int which) {
  sqlite3_file* file = nullptr;
  sqlite3_int64 size = 0;
  if (sqlite3_file_control(db, "main", which, &file) != SQLITE_OK || file == nullptr ||
      file->pMethods == nullptr)
    return 0;
  return file->pMethods->xFileSize(file, &size) == SQLITE_OK ? size : 0;
}

// Null: the system's.
const char* vfs_for(const Location& location, Mode mode) {
  if (mode == Mode::kApplication) return kApplicationVfs;
  if (!location.is_on_disk()) return location.vfs.c_str();
  return mode == Mode::kWriter ? kLogVfs : nullptr;
}

}  // namespace

Database::Database(const Location& location, Mode mode, Millis busy_timeout, int cache_kib,
                   std::function<void()> on_error)
    : on_error_(std::move(on_error)) {
  static std::once_flag once;
  std::call_once(once, set_up_sqlite);
  sqlite3* db = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                    SQLITE_OPEN_PRIVATECACHE | (location.is_on_disk() ? 0 : SQLITE_OPEN_CREATE);
  const int rc = sqlite3_open_v2(location.path.c_str(), &db, flags, vfs_for(location, mode));
  db_.reset(db);
  if (rc != SQLITE_OK) fail(rc, "opening " + location.path);
  if (mode == Mode::kWriter) drop_gathered_at_rollback(db);
  sqlite3_busy_timeout(db, static_cast<int>(busy_timeout.count()));
  // TRUSTED_SCHEMA stays on, because off would forbid json_valid() in CHECKs, which schemas before 7 have.
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  // Whoever can write to the file can add triggers and views. None of them may run here; our own trigger is meant for
  // producers' connections.
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  execute("PRAGMA synchronous=FULL");  // EXTRA adds nothing in WAL mode; NORMAL has lost acknowledged commits
  execute("PRAGMA wal_autocheckpoint=0");  // see checkpoint.h
  execute("PRAGMA secure_delete=OFF");     // Debian's default overwrites deleted data with zeros
  execute("PRAGMA foreign_keys=OFF");
  execute("PRAGMA mmap_size=0");  // an I/O error must be an error code, not SIGBUS
  execute("PRAGMA temp_store=MEMORY");
  execute("PRAGMA cache_size=-" + std::to_string(cache_kib));
  // The checkpoint at closing would swallow an I/O error, and a connection that only reads should leave the files
  // alone.
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  if (mode == Mode::kReader) execute("PRAGMA query_only=ON");
}

void Database::execute(const std::string& sql, const OnRow& on_row) {
  const auto hand_on = [](void* handler, int, char** columns, char**) {
    if (columns[0] != nullptr) (*static_cast<const OnRow*>(handler))(columns[0]);
    return 0;
  };
  const int rc =
      sqlite3_exec(db_.get(), sql.c_str(), on_row ? +hand_on : nullptr, const_cast<OnRow*>(&on_row), nullptr);
  if (rc != SQLITE_OK) fail(rc, "executing " + sql.substr(0, 60));
}

bool Database::checkpoint_all() {
  const int rc = sqlite3_wal_checkpoint_v2(db_.get(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if ((rc & 0xff) == SQLITE_BUSY) return false;
  if (rc != SQLITE_OK) fail(rc, "checkpointing");
  return true;
}

std::int64_t Database::file_size() {
  return size_of(db_.get(), SQLITE_FCNTL_FILE_POINTER);
}

std::int64_t Database::wal_size() {
  return size_of(db_.get(), SQLITE_FCNTL_JOURNAL_POINTER);
}

std::int64_t Database::query_int(const std::string& sql) {
  Statement statement(*this, sql);
  Cursor row(statement);
  return row.next() ? row.integer(0) : 0;
}

std::string Database::query_text(const std::string& sql) {
  Statement statement(*this, sql);
  Cursor row(statement);
  return row.next() ? row.text(0) : "";
}

Statement::Statement(Database& db, std::string_view sql) : db_(db) {
  sqlite3_stmt* stmt = nullptr;
  const int rc = sqlite3_prepare_v3(db_.handle(), sql.data(), static_cast<int>(sql.size()),
                                    SQLITE_PREPARE_PERSISTENT, &stmt, nullptr);
  stmt_.reset(stmt);
  if (rc != SQLITE_OK) db_.fail(rc, "preparing " + std::string(sql));
}

void Statement::finish() {
  const int rc = sqlite3_step(stmt_.get());
  if (rc == SQLITE_DONE) {
    sqlite3_reset(stmt_.get());
    return;
  }
  const std::string sql = sqlite3_sql(stmt_.get());
  try {
    db_.fail(rc == SQLITE_ROW ? SQLITE_MISUSE : rc, "running " + sql);
  } catch (...) {
    sqlite3_reset(stmt_.get());
    throw;
  }
}

bool Statement::step() {
  const int rc = sqlite3_step(stmt_.get());
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  db_.fail(rc, std::string("running ") + sqlite3_sql(stmt_.get()));
}

std::string_view Cursor::view(int c) const {
  // Fetch the bytes before their number: asked for afterwards, the number can no longer cause a conversion.
  const void* bytes = sqlite3_column_blob(stmt(), c);
  const int size = sqlite3_column_bytes(stmt(), c);
  if (size == 0) return {};
  if (bytes == nullptr) statement_.db_.fail(SQLITE_NOMEM, "reading a column");
  return {static_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

std::optional<std::string> Cursor::optional_text(int c) const {
  return is_null(c) ? std::nullopt : std::optional(text(c));
}

std::optional<std::int64_t> Cursor::optional_integer(int c) const {
  return is_null(c) ? std::nullopt : std::optional(integer(c));
}

std::optional<Time> Cursor::optional_time(int c) const {
  return is_null(c) ? std::nullopt : std::optional(time(c));
}

}  // namespace outboxd::sqlite
