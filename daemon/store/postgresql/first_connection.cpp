#include "store/postgresql/first_connection.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace outboxd::postgresql {
namespace {

using Kind = StoreError::Kind;
using Session = std::unique_ptr<PGconn, void (*)(PGconn*)>;

constexpr Millis kPatience{5000};
constexpr std::size_t kStateLength = 5;

// Who asked for what: as libpq has read it from the URL, its files and the environment.
struct Asked {
  std::string role, database;
};

// Until the attempt has succeeded or failed; no longer than kPatience in all.
void wait_for(PGconn* session) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK && next != PGRES_POLLING_FAILED) {
    const auto left = std::chrono::ceil<Millis>(until - std::chrono::steady_clock::now());
    pollfd ready{PQsocket(session), 0, 0};
    ready.events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (left <= Millis(0) || poll(&ready, 1, static_cast<int>(left.count())) <= 0) return;
    next = PQconnectPoll(session);
  }
}

// The same once more, of any server: whether it takes writes is looked at afterwards.
Session connect_verbosely(const ConnectionOptions& options) {
  const std::string application = "outboxd " + options.purpose;
  const std::array<const char*, 4> names{"application_name", "dbname", "target_session_attrs", nullptr};
  const std::array<const char*, 4> values{application.c_str(), options.url.c_str(), "any", nullptr};
  Session session(PQconnectStartParams(names.data(), values.data(), 1), PQfinish);
  if (!session || PQstatus(session.get()) == CONNECTION_BAD) return session;
  PQsetErrorVerbosity(session.get(), PQERRORS_VERBOSE);
  wait_for(session.get());
  return session;
}

std::string in_words(const char* text) {
  return text != nullptr && *text != '\0' ? std::string("\"") + text + "\"" : "";
}

// "": nothing that is known, so it may pass by itself.
std::string what_to_do(std::string_view state, bool needs_password, const Asked& asked) {
  if (needs_password || state == "28P01")
    return std::string(needs_password ? "the server wants a password of the role "
                                      : "the server refuses the password of the role ") +
           asked.role +
           ": write it into the file that passfile= in store.url or PGPASSFILE names (a line "
           "host:port:database:user:password, readable by outboxd's user alone)";
  if (state.starts_with("28"))
    return "the server does not let in the role " + asked.role +
           ": make it (CREATE ROLE ... LOGIN), or allow it in pg_hba.conf";
  if (state == "3D000")
    return "the server has no database " + asked.database + ": CREATE DATABASE " + asked.database +
           " OWNER " + asked.role + " ENCODING 'UTF8' TEMPLATE template0";
  if (state == "42501")
    return "the role " + asked.role + " may not connect to the database " + asked.database +
           ": GRANT CONNECT ON DATABASE " + asked.database + " TO " + asked.role;
  return "";
}

bool is_true(PGconn* session, const char* question) {
  const std::unique_ptr<PGresult, void (*)(PGresult*)> answer(PQexec(session, question), PQclear);
  return PQresultStatus(answer.get()) == PGRES_TUPLES_OK && PQntuples(answer.get()) == 1 &&
         *PQgetvalue(answer.get(), 0, 0) == 't';
}

// Of a server that lets us in, and that is not one which takes writes.
std::string why_no_writes(PGconn* session) {
  if (is_true(session, "SELECT pg_is_in_recovery()"))
    return "the server is in recovery: it is a standby, or starts. Give store.url the primary, or all "
           "servers "
           "(postgresql://a,b/...), of which the one that takes writes is used";
  if (is_true(session, "SELECT current_setting('default_transaction_read_only') = 'on'"))
    return "the server takes no writes from this role or for this database: ALTER ... SET "
           "default_transaction_read_only = off";
  return "";
}

[[noreturn]] void explain(const ConnectionOptions& options, const StoreError& failure) {
  const Session session = connect_verbosely(options);
  if (session && PQstatus(session.get()) == CONNECTION_OK) {
    const std::string why = why_no_writes(session.get());
    throw StoreError(Kind::kBusy, why.empty() ? failure.what() : why);
  }
  if (session) {
    const Asked asked{in_words(PQuser(session.get())), in_words(PQdb(session.get()))};
    const std::string why = what_to_do(sqlstate_in(PQerrorMessage(session.get())),
                                       PQconnectionNeedsPassword(session.get()) != 0, asked);
    if (!why.empty()) throw StoreError(Kind::kCannotOpen, why + ". It says: " + failure.what());
  }
  throw StoreError(failure.kind, failure.what());
}

}  // namespace

std::string_view sqlstate_in(std::string_view verbose_message) {
  constexpr std::string_view kBefore = ":  ", kAfter = ": ";
  const auto is_state = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); };
  for (std::size_t at = verbose_message.rfind(kBefore); at != std::string_view::npos && at > 0;
       at = verbose_message.rfind(kBefore, at - 1)) {
    const std::string_view state = verbose_message.substr(at + kBefore.size(), kStateLength);
    if (state.size() == kStateLength && std::ranges::all_of(state, is_state) &&
        verbose_message.substr(at + kBefore.size() + kStateLength).starts_with(kAfter))
      return state;
  }
  return {};
}

Connection first_connection(const ConnectionOptions& options) {
  try {
    return Connection(options);
  } catch (const ServerFailure& failure) {
    if (!failure.sqlstate.empty()) throw;  // it answered, and refused a statement
    explain(options, failure);
  }
}

}  // namespace outboxd::postgresql
