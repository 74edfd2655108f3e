#include "store/postgresql/database_check.h"

#include "store/postgresql/check_statements.h"
#include "store/rows.h"

namespace outboxd::postgresql {
namespace {

constexpr std::size_t kMaxNamed = 20;   // damaged events listed; the others are only counted
constexpr std::int64_t kRowsNamed = 3;  // of a broken agreement
constexpr std::int64_t kEventsRead = 64;
constexpr int kDayColumn = 16;

std::string counted_and_named(const char* rows) {
  return std::string(
             "SELECT count(*), coalesce(string_agg(what, ', ' ORDER BY n) FILTER (WHERE n <= $1), '')"
             " FROM (SELECT what, row_number() OVER () AS n FROM (") +
         rows + ") AS w) AS numbered";
}

void check_agreement(Connection& db, const sql::Agreement& agreement, std::vector<std::string>& problems) {
  Statement statement(db, counted_and_named(agreement.rows));
  Cursor found(statement, kRowsNamed);
  if (!found.next() || found.integer(0) == 0) return;
  problems.push_back(std::to_string(found.integer(0)) + " " + agreement.broken + ": " + found.text(1) +
                     (found.integer(0) > kRowsNamed ? ", ..." : ""));
}

void find_damaged_events(Connection& db, std::vector<std::string>& problems) {
  Statement events(db, sql::kWholeEventsAfter);
  std::size_t found = 0;
  std::int64_t seq = 0, day = 0;
  bool more = true;
  while (more) {
    Cursor row(events, seq, day, kEventsRead);
    more = row.size() == kEventsRead;
    while (row.next()) {
      seq = row.integer(0);
      day = row.integer(kDayColumn);
      const auto event = read_checked_event(row, seq, 1, 0);
      if (event->damaged && ++found <= kMaxNamed)
        problems.push_back("event " + std::to_string(seq) + " (" + event->id.to_string() +
                           ") does not match its checksum: nothing of it is sent");
    }
  }
  if (found > kMaxNamed)
    problems.push_back(std::to_string(found - kMaxNamed) + " more events do not match their checksums");
}

// What the server cannot read stops only this question.
template <class Question>
void ask(const char* what, std::vector<std::string>& problems, Question question) {
  try {
    question();
  } catch (const StoreError& error) {
    if (error.kind != StoreError::Kind::kCorrupt) throw;
    problems.push_back(std::string("the server cannot read what it needs to find ") + what + ": " +
                       error.what());
  }
}

}  // namespace

std::vector<std::string> check_database(Connection& db, bool quick) {
  std::vector<std::string> problems;
  for (const sql::Agreement& agreement : sql::kAgreements) {
    if (quick && agreement.reads_history) continue;
    ask(agreement.broken, problems, [&] { check_agreement(db, agreement, problems); });
  }
  if (!quick) ask("damaged events", problems, [&] { find_damaged_events(db, problems); });
  return problems;
}

}  // namespace outboxd::postgresql
