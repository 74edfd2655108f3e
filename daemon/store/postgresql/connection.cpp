#include "store/postgresql/connection.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

namespace outboxd::postgresql {
namespace {

// What all our sessions need, whatever the server, the database or the role has as a default. Statements are planned once
// and find their rows by an index: the statistics of a queue, empty at one moment and huge at the next, are never right.
constexpr const char* kSettings =
    "SET default_transaction_isolation = 'read committed'; SET default_transaction_deferrable = off;"
    " SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '5s';"
    " SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3;"
    " SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off;"
    " SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_hashagg "
    "= off; SET enable_material = off;"
    " SET max_parallel_workers_per_gather = 0; SET enable_partition_pruning = on;"
    " SET bytea_output = hex; SET standard_conforming_strings = on; SET client_min_messages = warning;"
    " SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";

constexpr std::size_t kMaxShown = 200;  // of a statement, in an error

std::string trimmed(const char* message) {
  std::string text(message ? message : "");
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

// Notices are for the server's log, not for ours; client_min_messages lets only warnings through.
void note_warning(void* warned, const PGresult*) {
  *static_cast<bool*>(warned) = true;
}

using Kind = StoreError::Kind;

// PostgreSQL's classes of errors, by what must happen next.
Kind kind_of(std::string_view state) {
  const std::string_view group = state.substr(0, 2);
  if (state == "53100") return Kind::kFull;
  // Lost races, locks, limits of the server, cancelled statements, a server that stops or takes no writes at the moment.
  if (group == "40" || group == "53" || group == "55" || group == "57" || group == "08" || state == "25006" ||
      state == "25P03")
    return Kind::kBusy;
  if (state == "XX001" || state == "XX002") return Kind::kCorrupt;
  return Kind::kFailed;
}

bool blames_the_row(std::string_view state) {
  return state.starts_with("22") || state.starts_with("23") || state == "54000";
}

}  // namespace

Connection::Connection(ConnectionOptions options)
    : options_(std::move(options)), connection_(nullptr, PQfinish) {
  open();
}

Connection::~Connection() = default;

void Connection::open() {
  char* why = nullptr;
  PQconninfoOption* parsed = PQconninfoParse(options_.url.c_str(), &why);
  if (parsed == nullptr) {
    const std::string what = trimmed(why);
    PQfreemem(why);
    throw StoreError(Kind::kCannotOpen, "the URL cannot be read: " + what);
  }
  PQconninfoFree(parsed);
  const std::string application = "outboxd " + options_.purpose;
  // What stands before the URL it may override, what stands behind it not.
  const std::array<std::pair<const char*, const char*>, 10> settings{
      {{"connect_timeout", "3"},
       {"keepalives", "1"},
       {"keepalives_idle", "2"},
       {"keepalives_interval", "1"},
       {"keepalives_count", "3"},
       {"tcp_user_timeout", "5000"},
       {"application_name", application.c_str()},
       {"dbname", options_.url.c_str()},
       {"target_session_attrs", "read-write"},
       {"client_encoding", "UTF8"}}};
  std::array<const char*, settings.size() + 1> names{}, values{};
  for (std::size_t i = 0; i < settings.size(); ++i) {
    names[i] = settings[i].first;
    values[i] = settings[i].second;
  }
  prepared_.clear();
  abandoned_ = false;
  connection_.reset(PQconnectdbParams(names.data(), values.data(), 1));
  if (PQstatus(connection_.get()) != CONNECTION_OK) fail(nullptr, "connecting");
  PQsetNoticeReceiver(connection_.get(), note_warning, &warned_);
  execute(kSettings);
  warned_ = false;
  execute("SET statement_timeout = " + std::to_string(options_.statement_timeout.count()));
  if (server_version() >= 140000)
    execute("SET idle_session_timeout = " + std::to_string(options_.idle_session_timeout.count()));
  // What takes long may: a statement's limit and a silent transaction's are those that count.
  if (server_version() >= 170000) execute("SET transaction_timeout = 0");
}

void Connection::reconnect() {
  connection_.reset();
  open();
}

bool Connection::is_lost() const {
  return abandoned_ || PQstatus(connection_.get()) != CONNECTION_OK;
}

int Connection::server_version() const {
  return PQserverVersion(connection_.get());
}

int Connection::backend() const {
  return PQbackendPID(connection_.get());
}

bool Connection::in_transaction() const {
  return PQtransactionStatus(connection_.get()) != PQTRANS_IDLE;
}

void Connection::fail(const PGresult* result, std::string_view doing) const {
  if (options_.on_error) options_.on_error();
  const char* field = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : nullptr;
  const std::string state = field ? field : "";
  const char* primary = field ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : nullptr;
  std::string what = trimmed(primary ? primary : PQerrorMessage(connection_.get()));
  if (what.empty()) what = "the server does not answer";
  what.append(" (").append(doing.substr(0, kMaxShown));
  if (doing.size() > kMaxShown) what.append("...");
  if (!state.empty()) what.append(", SQLSTATE ").append(state);
  what.append(")");
  if (blames_the_row(state)) {
    const char* table = PQresultErrorField(result, PG_DIAG_TABLE_NAME);
    throw ConstraintViolation(table ? table : "", what);
  }
  // Without a code it is the connection that failed, or the server did not come about.
  throw ServerFailure(state.empty() ? Kind::kBusy : kind_of(state), state, what);
}

void Connection::execute(const std::string& sql) {
  const Result result(PQexec(connection_.get(), sql.c_str()), PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
    fail(result.get(), sql);
}

std::string Connection::query_text(const std::string& sql) {
  const Result result(PQexec(connection_.get(), sql.c_str()), PQclear);
  if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) fail(result.get(), sql);
  return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

std::int64_t Connection::query_int(const std::string& sql) {
  return std::strtoll(query_text(sql).c_str(), nullptr, 10);
}

Statement::Statement(Connection& db, std::string_view sql)
    : db_(db), sql_(sql), name_("s" + std::to_string(db.next_name_++)) {}

Statement::~Statement() {
  db_.prepared_.erase(this);
}

void Statement::run_with(const Parameters& parameters) {
  changes_ = Cursor(*this, parameters).changes();
}

Cursor::Cursor(Statement& statement, const Parameters& parameters) {
  Pipeline alone(statement.db_);
  alone.add_with(statement, parameters);
  alone.run();
  *this = alone.rows(0);
}

Cursor::Cursor(std::shared_ptr<PGresult> result)
    : result_(std::move(result)), rows_(PQntuples(result_.get())) {}

std::int64_t Cursor::changes() const {
  return std::strtoll(PQcmdTuples(result_.get()), nullptr, 10);
}

std::string_view Cursor::view(int c) const {
  return {PQgetvalue(result_.get(), row_, c), static_cast<std::size_t>(PQgetlength(result_.get(), row_, c))};
}

std::int64_t Cursor::integer(int c) const {
  const std::string_view bytes = view(c);
  if (bytes.empty()) return 0;  // NULL
  if (bytes.size() != 8 && bytes.size() != 4 && bytes.size() != 2 && bytes.size() != 1)
    throw CorruptValue("column " + std::to_string(c) + " holds no integer");
  std::uint64_t bits = (bytes[0] & 0x80) != 0 ? ~std::uint64_t{0} : 0;
  for (const char byte : bytes) bits = bits << 8 | static_cast<unsigned char>(byte);
  return static_cast<std::int64_t>(bits);
}

bool Cursor::boolean(int c) const {
  const std::string_view bytes = view(c);
  return !bytes.empty() && bytes[0] != 0;
}

Uuid Cursor::uuid(int c) const {
  const std::string_view bytes = view(c);
  Uuid uuid;
  if (bytes.size() != uuid.bytes.size()) throw CorruptValue("column " + std::to_string(c) + " holds no id");
  std::copy(bytes.begin(), bytes.end(), uuid.bytes.begin());
  return uuid;
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

}  // namespace outboxd::postgresql
