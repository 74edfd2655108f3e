// A connection and its prepared statements: the only place that calls libpq for statements and that turns its errors into
// exceptions. A connection and its statements belong to one thread at a time.
//
//   Statement find_{db_, "SELECT type FROM event WHERE day = $1 AND seq = $2"};
//   Cursor row(find_, day, seq);                        a round trip
//   while (row.next()) row.text(0);
//
//   Pipeline several(db_);                              one round trip for all of them
//   several.add(begin_).add(find_, day, seq);
//   several.run();
//   Cursor row = several.rows(1);
//
// Values go and come in binary (parameters.h says which C++ type is which of PostgreSQL's). A bigint parameter fits any
// integer column, in an INSERT and in a comparison. All integers of a result are read with integer() or number(); cast
// what is numeric (the sum() of bigint) to bigint.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/id.h"
#include "common/time.h"
#include "store/errors.h"
#include "store/postgresql/parameters.h"

namespace outboxd::postgresql {

// A constraint, or a value that does not fit its type, refused a row: the fault of the command, not of the store.
struct ConstraintViolation : std::runtime_error {
  ConstraintViolation(std::string of, const std::string& what)
      : std::runtime_error(what), table(std::move(of)) {}
  std::string table;  // whose constraint it is; "": it is the value alone
};
// The server refused a statement, or the connection is lost. `sqlstate` is empty in the latter case.
struct ServerFailure : StoreError {
  ServerFailure(Kind k, std::string state, const std::string& what)
      : StoreError(k, what), sqlstate(std::move(state)) {}
  std::string sqlstate;
};
class Cursor;
class Statement;

struct ConnectionOptions {
  std::string url;                   // as libpq reads it: a URI or a connection string
  std::string purpose;               // at the end of application_name: "outboxd writer"
  Millis statement_timeout{10'000};  // 0: none
  Millis grace{5000};                // so much later than the server should have, we give up
  // A session that may be silent for long (advisory locks are held by one whose owner pings it) says so.
  Millis idle_session_timeout{0};  // 0: none
  std::function<void()> on_error = {};
};

// All connections ask for a server that takes writes, notice a dead peer within seconds, and have their statements and
// transactions bounded.
class Connection {
 public:
  // Connects. Throws StoreError: kCannotOpen for a URL that cannot be read, kBusy for all else that fails: a server that
  // refuses a password today may take it tomorrow, and no daemon ends for that while it runs (first_connection.h).
  explicit Connection(ConnectionOptions options);
  ~Connection();
  Connection(const Connection&) = delete;

  // Gives up this connection and makes a new one in its place; prepared statements are prepared anew when they run next.
  void reconnect();
  bool is_lost() const;
  PGconn* handle() const { return connection_.get(); }
  int server_version() const;  // 150004
  int backend() const;         // its process id there
  bool in_transaction() const;
  // Has the server warned of something since the last call? Of a commit it does so when a standby that has to confirm it
  // may not have got it.
  bool take_warning() { return std::exchange(warned_, false); }
  // No answer for so long, or half an answer: the connection is given up, and is_lost().
  void abandon() { abandoned_ = true; }

  // For settings, migrations and the like: plain text, several statements, no parameters.
  void execute(const std::string& sql);
  std::string query_text(
      const std::string& sql);  // the first column of the first row, in text; empty: no row
  std::int64_t query_int(const std::string& sql);

  // The only places that turn an error into an exception. `doing` says what was being done.
  [[noreturn]] void fail(const PGresult* result, std::string_view doing) const;

 private:
  friend class Statement;
  friend class Pipeline;
  using Result = std::unique_ptr<PGresult, void (*)(PGresult*)>;

  void open();

  const ConnectionOptions options_;
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
  std::unordered_set<const Statement*> prepared_;
  std::uint64_t next_name_ = 0;
  bool warned_ = false, abandoned_ = false;
};

class Statement {
 public:
  Statement(Connection& db, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;

  // Runs a statement that yields no rows, in a round trip of its own.
  template <class... Args>
  void run(const Args&... args) {
    run_with(Parameters(args...));
  }
  // How many rows the last run() changed.
  std::int64_t changes() const { return changes_; }
  const std::string& sql() const { return sql_; }

 private:
  friend class Connection;
  friend class Cursor;
  friend class Pipeline;
  void run_with(const Parameters& parameters);

  Connection& db_;
  const std::string sql_;
  const std::string name_;
  std::int64_t changes_ = 0;
};

// The rows of a statement that has run. All of them are in memory: every statement bounds its number.
class Cursor {
 public:
  template <class... Args>
  explicit Cursor(Statement& statement, const Args&... args) : Cursor(statement, Parameters(args...)) {}

  bool next() { return ++row_ < rows_; }
  int size() const { return rows_; }
  // How many rows were changed, by a statement that changes some.
  std::int64_t changes() const;

  // Columns of the current row, numbered from 0. Views live as long as the Cursor.
  bool is_null(int c) const { return PQgetisnull(result_.get(), row_, c) != 0; }
  std::int64_t integer(int c) const;  // smallint, integer, bigint, boolean
  int number(int c) const { return static_cast<int>(integer(c)); }
  bool boolean(int c) const;
  std::string_view view(int c) const;  // text, json, bytea, uuid
  std::string text(int c) const { return std::string(view(c)); }
  Uuid uuid(int c) const;
  std::optional<std::string> optional_text(int c) const;
  std::optional<std::int64_t> optional_integer(int c) const;
  Time time(int c) const { return from_unix_millis(integer(c)); }
  std::optional<Time> optional_time(int c) const;
  Oid type(int c) const { return PQftype(result_.get(), c); }

 private:
  friend class Pipeline;
  friend class Statement;
  Cursor(Statement& statement, const Parameters& parameters);
  explicit Cursor(std::shared_ptr<PGresult> result);

  std::shared_ptr<PGresult> result_;
  int rows_ = 0, row_ = -1;
};

// Several statements in one round trip. If one fails those behind it are not run, and run() throws what the first
// failure was, when all answers have been read.
class Pipeline {
 public:
  explicit Pipeline(Connection& db);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;

  template <class... Args>
  Pipeline& add(Statement& statement, const Args&... args) {
    return add_with(statement, Parameters(args...));
  }
  std::size_t size() const { return steps_.size(); }  // the index of the next one that is added
  void run();                                         // once
  Cursor rows(std::size_t index) const;               // of the statement added as number `index`, from 0
  std::int64_t changes(std::size_t index) const;

 private:
  friend class Cursor;
  struct Step {
    const Statement* statement;
    bool prepares = false;  // its preparation was sent just before it
    std::shared_ptr<PGresult> result = {};
  };
  Pipeline& add_with(Statement& statement, const Parameters& parameters);
  std::shared_ptr<PGresult> next_result();
  bool wait_for_answer();
  void leave() noexcept;

  Connection& db_;
  std::vector<Step> steps_;
  bool entered_ = false, sent_ = false, ran_ = false;
};

}  // namespace outboxd::postgresql
