// A connection and its prepared statements: the only place that calls sqlite3_* for statements and that turns result
// codes into exceptions. A connection and its statements belong to one thread at a time.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/time.h"
#include "store/sqlite/location.h"
#include "store/store.h"

namespace outboxd::sqlite {

// A CHECK, UNIQUE or NOT NULL constraint refused a row: the fault of the command, not of the store.
struct ConstraintViolation : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct SqliteFailure : StoreError {
  SqliteFailure(int c, const std::string& what)
      : StoreError(c == SQLITE_CORRUPT || c == SQLITE_NOTADB ? Kind::kCorrupt : Kind::kFailed, what),
        code(c) {}
  int code;  // primary result code
};
enum class Mode {
  kWriter,
  kReader,
  kApplication,  // another program's file, on application_vfs.h
};

class Database {
 public:
  // Opens an existing file and applies the settings that all our connections need (FULL, no autocheckpoint, ...). On a
  // VFS of its own it creates an empty file if there is none, because nothing outside SQLite can create one there.
  // `on_error` is called for every error that is thrown.
  Database(const Location& location, Mode mode, Millis busy_timeout, int cache_kib,
           std::function<void()> on_error = {});

  sqlite3* handle() const { return db_.get(); }
  // For pragmas and migrations, not for data. `on_row` gets the first column of each row that comes back.
  using OnRow = std::function<void(std::string_view)>;
  void execute(const std::string& sql, const OnRow& on_row = {});
  std::int64_t query_int(const std::string& sql);
  std::string query_text(const std::string& sql);
  // Moves the whole WAL into the file and empties it; for the last connection before it closes. Unlike SQLite's own
  // checkpoint at closing, it reports failures. False: others are using the database, which is fine too.
  bool checkpoint_all();
  // Sizes in bytes of the database file, and of the write-ahead log, which may hold pages that are not in the file yet.
  std::int64_t file_size();
  std::int64_t wal_size();
  bool in_transaction() const { return sqlite3_get_autocommit(db_.get()) == 0; }
  // The only place that turns a result code into an exception: SQLITE_BUSY and SQLITE_FULL into StoreError (kBusy,
  // kFull), SQLITE_CONSTRAINT into ConstraintViolation, everything else into SqliteFailure.
  [[noreturn]] void fail(int rc, std::string_view doing) const;

 private:
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };
  std::unique_ptr<sqlite3, Close> db_;
  std::function<void()> on_error_;
};

// While it lives, this connection overwrites with zeros what it deletes.
class OverwritesDeleted {
 public:
  explicit OverwritesDeleted(Database& db) : db_(db) { db_.execute("PRAGMA secure_delete=ON"); }
  ~OverwritesDeleted() { sqlite3_exec(db_.handle(), "PRAGMA secure_delete=OFF", nullptr, nullptr, nullptr); }
  OverwritesDeleted(const OverwritesDeleted&) = delete;

 private:
  Database& db_;
};

// Binds bytes as a BLOB; a plain std::string_view binds as TEXT.
struct Blob {
  std::string_view bytes;
};
// Only the fixed width: SQLite knows one integer.
inline std::int64_t millis(Time t) {
  return unix_millis(t);
}
inline std::optional<std::int64_t> millis(const std::optional<Time>& t) {
  return t ? std::optional(unix_millis(*t)) : std::nullopt;
}

// A prepared statement: a read of an index range or a write by key. None may scan a table;
// tests/store/query_plan_test.cpp asks SQLite for the plan of each that the daemon prepares. Bound values are not
// copied: they must live until the statement has run or its Cursor is gone.
class Statement {
 public:
  Statement(Database& db, std::string_view sql);

  // Runs a statement that yields no rows.
  template <class... Args>
  void run(const Args&... args) {
    bind_all(args...);
    finish();
  }
  // For many_rows.h: binds parameters that follow number `first`, and runs when all are bound.
  template <class... Args>
  void bind_from(int first, const Args&... args) {
    int at = first;
    (bind(++at, args), ...);
  }
  void run_bound() { finish(); }
  // How many rows the last run changed.
  int changes() const { return sqlite3_changes(db_.handle()); }

 private:
  friend class Cursor;
  struct Finalize {
    void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
  };

  template <class... Args>
  void bind_all(const Args&... args) {
    [[maybe_unused]] int at = 0;
    (bind(++at, args), ...);
  }
  void bind(int at, std::int64_t v) { check(sqlite3_bind_int64(stmt_.get(), at, v)); }
  void bind(int at, int v) { check(sqlite3_bind_int64(stmt_.get(), at, v)); }
  void bind(int at, std::nullopt_t) { check(sqlite3_bind_null(stmt_.get(), at)); }
  void bind(int at, std::string_view v) {
    // A null pointer would bind NULL, not an empty text.
    check(
        sqlite3_bind_text64(stmt_.get(), at, v.data() ? v.data() : "", v.size(), SQLITE_STATIC, SQLITE_UTF8));
  }
  void bind(int at, Blob v) {
    check(sqlite3_bind_blob64(stmt_.get(), at, v.bytes.data() ? v.bytes.data() : "", v.bytes.size(),
                              SQLITE_STATIC));
  }
  template <class T>
  void bind(int at, const std::optional<T>& v) {
    v ? bind(at, *v) : bind(at, std::nullopt);
  }
  void check(int rc) const {
    if (rc != SQLITE_OK) db_.fail(rc, "binding");
  }
  void finish();
  bool step();

  const Database& db_;
  std::unique_ptr<sqlite3_stmt, Finalize> stmt_;
};

// The rows of a running statement; resets the statement when destroyed.
class Cursor {
 public:
  template <class... Args>
  explicit Cursor(Statement& statement, const Args&... args) : statement_(statement) {
    statement.bind_all(args...);
  }
  ~Cursor() { sqlite3_reset(statement_.stmt_.get()); }
  Cursor(const Cursor&) = delete;

  bool next() { return statement_.step(); }

  // Columns of the current row, numbered from 0. Views are valid until the next call of next().
  bool is_null(int c) const { return sqlite3_column_type(stmt(), c) == SQLITE_NULL; }
  std::int64_t integer(int c) const { return sqlite3_column_int64(stmt(), c); }
  int number(int c) const { return sqlite3_column_int(stmt(), c); }
  std::string_view view(int c) const;  // TEXT or BLOB
  std::string text(int c) const { return std::string(view(c)); }
  std::optional<std::string> optional_text(int c) const;
  std::optional<std::int64_t> optional_integer(int c) const;
  Time time(int c) const { return from_unix_millis(integer(c)); }
  std::optional<Time> optional_time(int c) const;
  int type(int c) const { return sqlite3_column_type(stmt(), c); }

 private:
  sqlite3_stmt* stmt() const { return statement_.stmt_.get(); }
  Statement& statement_;
};

}  // namespace outboxd::sqlite
