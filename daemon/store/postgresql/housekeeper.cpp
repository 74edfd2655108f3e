#include "store/postgresql/housekeeper.h"

#include <cstdlib>
#include <memory>
#include <utility>

#include "common/time.h"
#include "store/postgresql/days.h"
#include "telemetry/log.h"

namespace outboxd::postgresql {
namespace {

constexpr auto kEvery = std::chrono::minutes(10);
constexpr auto kAfterFailure = std::chrono::minutes(1);
// Late events of a day come within hours, so a partition that is removed is not wanted again.
constexpr int kDaysLeft = 2;
constexpr int kPartitionsRemoved = 30;  // in one round
constexpr int kDetachesConcurrently = 140000;

using Rows = std::unique_ptr<PGresult, void (*)(PGresult*)>;

std::string suffix_of(int day) {
  std::string digits = format_time(start_of_day(day)).substr(0, 10);  // 2026-01-01
  std::erase(digits, '-');
  return "_" + digits;
}

// What has come into it after all brings it back.
std::string drop_or_attach(const std::string& table, const std::string& partition, int day) {
  return "DO $$ BEGIN IF EXISTS (SELECT 1 FROM " + partition + ") THEN ALTER TABLE " + table +
         " ATTACH PARTITION " + partition + " FOR VALUES FROM (" + std::to_string(day) + ") TO (" +
         std::to_string(day + 1) + "); ELSE DROP TABLE " + partition + "; END IF; END $$";
}

}  // namespace

Housekeeper::Housekeeper(ConnectionOptions options) : options_(std::move(options)) {}

void Housekeeper::vacuum(const std::set<int>& days) {
  for (const int day : days) {
    const std::string partition = day >= kFirstKeptDay ? "_kept" : suffix_of(day);
    tasks_.push_back({.statements = {"VACUUM event" + partition}});
  }
}

// Every partition of a day of which nothing is counted any more: its table, name and day, whether it is detached, and
// whether that is pending.
std::string Housekeeper::list_of_partitions(int before) const {
  const bool may_pend = db_->server_version() >= kDetachesConcurrently;
  return "SELECT split_part(d.name, '_', 1), d.name, d.day, d.detached, d.pending FROM (SELECT c.relname AS "
         "name,"
         " to_date(right(c.relname, 8), 'YYYYMMDD') - date '1970-01-01' AS day, i.inhrelid IS NULL AS "
         "detached, " +
         std::string(may_pend ? "coalesce(i.inhdetachpending, false)" : "false") +
         " AS pending FROM pg_class AS c LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid"
         " WHERE c.relkind = 'r' AND c.relname ~ '^(event|finished|attempt)_[0-9]{8}$' AND c.relnamespace ="
         " (SELECT relnamespace FROM pg_class WHERE oid = 'event'::regclass)) AS d WHERE d.day < " +
         std::to_string(before) +
         " AND NOT EXISTS (SELECT 1 FROM counter AS n WHERE n.day = d.day HAVING sum(n.events) <> 0 OR"
         " sum(n.pending + n.delivered + n.dead + n.discarded) <> 0) ORDER BY d.day, d.name DESC LIMIT " +
         std::to_string(kPartitionsRemoved);
}

void Housekeeper::connect() {
  if (db_) return;
  db_.emplace(options_);
  // A lock that many would wait behind is hardly waited for.
  const bool waits = db_->server_version() >= kDetachesConcurrently;
  db_->execute("SET statement_timeout = 0; SET lock_timeout = '" + std::string(waits ? "0" : "50ms") + "'");
}

void Housekeeper::plan(int today) {
  connect();
  Task days;
  for (int day = today; day <= today + kDaysAhead; ++day)
    days.statements.push_back("SELECT make_day(" + std::to_string(day) + ")");
  tasks_.push_back(std::move(days));
  const int before = today - kDaysLeft;
  tasks_.push_back({.statements = {list_of_partitions(before)}, .lists_partitions = true});
}

// Whoever is reading a partition goes on, and who comes later does not see it.
void Housekeeper::remove_those_of(const PGresult* rows) {
  const bool concurrently = db_->server_version() >= kDetachesConcurrently;
  std::set<int> days;
  for (int row = 0; row < PQntuples(rows); ++row) {
    const std::string table = PQgetvalue(rows, row, 0), partition = PQgetvalue(rows, row, 1);
    const int day = std::atoi(PQgetvalue(rows, row, 2));
    const bool detached = *PQgetvalue(rows, row, 3) == 't', pending = *PQgetvalue(rows, row, 4) == 't';
    const std::string detach = "ALTER TABLE " + table + " DETACH PARTITION " + partition;
    Task task;
    if (pending) {
      task.statements.push_back(detach + " FINALIZE");
    } else if (!detached) {
      task.statements.push_back("DO $$ BEGIN IF EXISTS (SELECT 1 FROM " + partition +
                                ") THEN RAISE 'there is something in it'; END IF; END $$");
      task.statements.push_back(detach + (concurrently ? " CONCURRENTLY" : ""));
    }
    task.statements.push_back(drop_or_attach(table, partition, day));
    tasks_.push_back(std::move(task));
    days.insert(day);
  }
  for (const int day : days) {
    const std::string of_day =
        " WHERE day = " + std::to_string(day) + " AND to_regclass('event" + suffix_of(day) + "') IS NULL";
    tasks_.push_back({.statements = {"DELETE FROM counter" + of_day, "DELETE FROM endpoint_count" + of_day,
                                     "DELETE FROM event_block" + of_day}});
  }
}

void Housekeeper::send() {
  const Task& task = tasks_.front();
  if (PQsendQuery(db_->handle(), task.statements[task.next].c_str()) != 1)
    db_->fail(nullptr, task.statements[task.next]);
  under_way_ = true;
}

// What fails is done another time: a partition was in use, or the connection is lost.
void Housekeeper::fail(const std::string& why) {
  log::info("housekeeping of partitions is put off", {{"error", why}});
  if (!tasks_.empty()) tasks_.pop_front();
  if (db_ && db_->is_lost()) {
    db_.reset();
    connect_at_ = std::chrono::steady_clock::now() + kAfterFailure;
  }
}

bool Housekeeper::work() {
  connect();
  if (!under_way_) {
    send();
    return false;
  }
  if (PQconsumeInput(db_->handle()) != 1) db_->fail(nullptr, "housekeeping");
  if (PQisBusy(db_->handle()) != 0) return false;
  Task& task = tasks_.front();
  std::string failure;
  while (true) {
    const Rows rows(PQgetResult(db_->handle()), PQclear);
    if (!rows) break;
    const ExecStatusType status = PQresultStatus(rows.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) failure = PQresultErrorMessage(rows.get());
    if (task.lists_partitions && status == PGRES_TUPLES_OK) remove_those_of(rows.get());
  }
  under_way_ = false;
  if (!failure.empty()) {
    fail(failure);
  } else if (++task.next == task.statements.size()) {
    tasks_.pop_front();
  }
  return !tasks_.empty();
}

void Housekeeper::run(int today) {
  const auto now = std::chrono::steady_clock::now();
  if (now < connect_at_) return;
  try {
    if (now >= plan_at_) {
      plan_at_ = now + kEvery;
      plan(today);
    }
    while (!tasks_.empty() && work()) {
    }
    if (tasks_.empty()) db_.reset();
  } catch (const std::exception& failure) {
    under_way_ = false;
    fail(failure.what());
  }
}

}  // namespace outboxd::postgresql
