#include "store/postgresql/source_database.h"

#include <poll.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "store/postgresql/columns.h"
#include "store/postgresql/connection.h"
#include "store/postgresql/outbox_mark.h"
#include "store/postgresql/schema.h"
#include "store/postgresql/source_schema.h"
#include "store/postgresql/source_statements.h"

namespace outboxd {
namespace {

using namespace postgresql;
using Monotonic = std::chrono::steady_clock;

// Rows are given numbers in one statement, and then passed on as the relay asks for them.
constexpr std::int64_t kTakeRows = 500;
// What one answer of the server holds, as it is stored there: compression makes ten times as much of it, or more.
constexpr std::size_t kAnswerBytes = 128 << 10;
// Rows that are relayed and cannot be deleted, because somebody in the application keeps a lock on them.
constexpr std::size_t kMaxTaken = 10'000;
constexpr Millis kLookMin{100},
    kLookMax{200};  // evenly spread, and a round trip below the quarter of a second
constexpr const char* kLockTimeout = "SET lock_timeout = '100ms'";
constexpr Millis kMaxSilence{6000}, kMaxSilenceOfOthers{8000};
constexpr int kMaxCounted = 1000;

bool is_contention(const ServerFailure& failure) {
  return failure.sqlstate == "55P03" || failure.sqlstate == "40P01" || failure.sqlstate == "40001";
}

// What the server says, as the failure of a source.
template <class Call>
auto on_source(Call call) {
  try {
    return call();
  } catch (const ServerFailure& failure) {
    if (is_contention(failure))
      throw SourceBusy("rows of outbox are locked by the application: " + std::string(failure.what()));
    if (failure.sqlstate == "42501")
      throw SourceFailure(std::string(failure.what()) +
                          ": outboxctl source ddl --postgresql shows what outboxd's role needs");
    throw SourceFailure(failure.what());
  } catch (const StoreError& error) {
    throw SourceFailure(error.what());
  } catch (const ConstraintViolation& violation) {
    throw SourceFailure(violation.what());
  }
}

ConnectionOptions options_of(const std::string& url) {
  return {.url = url, .purpose = "relay", .idle_session_timeout = kMaxSilence};
}

std::unique_ptr<Connection> open_checked(const std::string& url) {
  return on_source([&] {
    const ConnectionOptions options = options_of(url);
    auto db = std::make_unique<Connection>(options);
    check_server(*db, options);
    check_source_schema(*db);
    return db;
  });
}

class SourceDatabase final : public Source {
 public:
  explicit SourceDatabase(const SourceDatabaseOptions& options)
      : options_(options), connection_(open_checked(options.url)) {
    on_source([this] {
      db_.execute(kLockTimeout);
      db_.execute("LISTEN outboxd");
    });
  }

  SourceRows read(std::int64_t after, int limit, std::size_t max_bytes) override {
    return on_source([&] {
      if (!loaded_) load();
      SourceRows found;
      found.database = database_;
      // Fewer numbers were given than are relayed: the database is older than the place, and whoever reads sees that.
      if (given_ >= after && after_of(after) == taken_.end() && taken_.size() < kMaxTaken) take();
      found.last = given_;
      read_taken(after, static_cast<std::size_t>(limit), max_bytes, found);
      return found;
    });
  }

  void reject(const std::vector<SourceRejection>& rows, Time at) override {
    on_source([&] {
      std::vector<std::int64_t> seqs;
      seqs.reserve(rows.size());
      for (const auto& row : rows) seqs.push_back(seq_of(row.row));
      reject_.run(column<std::int64_t>(rows, [](const auto& row) { return row.row; }), seqs,
                  column<std::string>(rows, [](const auto& row) { return row.reason; }), millis(at));
      for (const auto& row : rows) forget(row.row);
    });
  }

  SourceCleared clear(std::int64_t after, std::int64_t up_to, int limit) override {
    return on_source([&] {
      const auto first = after_of(after), end = after_of(up_to);
      const auto rows = std::min<std::ptrdiff_t>(end - first, limit);
      SourceCleared cleared{.up_to = rows == limit ? (first + rows - 1)->number : up_to, .rows = rows};
      const bool newest = !batches_.empty() && cleared.up_to >= given_;
      std::vector<std::int64_t> seqs, batches;
      for (auto row = first; row != first + rows; ++row) seqs.push_back(row->seq);
      for (const auto& [number, last] : batches_) {
        if (last <= cleared.up_to && last < given_) batches.push_back(number);
      }
      if (seqs.empty() && batches.empty()) return cleared;
      delete_rows(seqs, batches, newest ? batches_.back().first : 0);
      taken_.erase(first, first + rows);
      while (!batches_.empty() && batches_.front().last <= cleared.up_to && batches_.front().last < given_)
        batches_.pop_front();
      return cleared;
    });
  }

  SourceCounts counts(int limit) override {
    return on_source([&] {
      Cursor row(counts_, limit);
      row.next();
      return SourceCounts{row.integer(0), row.integer(1)};
    });
  }

  void check() override {}  // a session is with one database until it ends

  bool is_ours() override {
    return on_source([this] {
      if (locked_) return true;
      Cursor row(lock_);
      row.next();
      locked_ = row.boolean(0);
      if (locked_) return true;
      Cursor freed(free_lock_, static_cast<std::int64_t>(kMaxSilenceOfOthers.count()));
      return false;
    });
  }

  // Looks itself often enough; who does not want to wait for that says NOTIFY outboxd.
  void wait(Millis at_most) override {
    const Millis look(
        std::uniform_int_distribution<Millis::rep>(kLookMin.count(), kLookMax.count())(random_));
    const auto until = Monotonic::now() + std::min(at_most, look);
    while (options_.stop == nullptr || !*options_.stop) {
      if (is_rung()) return;
      const auto left = std::chrono::ceil<Millis>(until - Monotonic::now());
      if (left <= Millis(0)) return;
      pollfd changed{PQsocket(db_.handle()), POLLIN, 0};
      if (poll(&changed, 1, static_cast<int>(left.count())) > 0 && PQconsumeInput(db_.handle()) == 0)
        throw SourceFailure("the connection to the application's database was lost");
    }
  }

 private:
  struct Taken {
    std::int64_t number = 0, seq = 0;
  };
  struct Batch {
    std::int64_t first = 0, last = 0;  // numbers
  };
  using TakenRows = std::deque<Taken>;

  TakenRows::iterator after_of(std::int64_t number) {
    return std::upper_bound(taken_.begin(), taken_.end(), number,
                            [](std::int64_t value, const Taken& row) { return value < row.number; });
  }

  std::int64_t seq_of(std::int64_t number) {
    const auto row = std::find_if(taken_.begin(), taken_.end(),
                                  [number](const Taken& one) { return one.number == number; });
    if (row == taken_.end()) throw SourceFailure("row " + std::to_string(number) + " is not taken any more");
    return row->seq;
  }

  void forget(std::int64_t number) {
    std::erase_if(taken_, [number](const Taken& one) { return one.number == number; });
  }

  // What whoever relayed before has taken.
  void load() {
    taken_.clear();
    batches_.clear();
    given_ = 0;
    Cursor identity(database_of_);
    if (!identity.next()) throw SourceFailure("the database has no row in outbox_source any more");
    database_ = identity.text(0);
    for (Cursor row(taken_before_); row.next();) {
      const std::int64_t first = row.integer(0);
      if (batches_.empty() || batches_.back().first != first)
        batches_.push_back({first, first + row.integer(1) - 1});
      given_ = batches_.back().last;
      if (!row.is_null(3)) taken_.push_back({first + row.integer(2) - 1, row.integer(3)});
    }
    mark_ = OutboxMark();
    loaded_ = true;
  }

  void take() {
    const auto began = Monotonic::now();
    const std::int64_t from = mark_.look_from(began);
    Cursor row = taken_from(from);
    row.next();
    if (row.integer(0) != given_) overtaken();
    OutboxMark::Look look{.from = from, .oldest_running = row.integer(1), .next_to_run = row.integer(2)};
    if (!row.is_null(3)) {
      const std::int64_t first = given_ + 1;
      do {
        taken_.push_back({++given_, row.integer(3)});
      } while (row.next());
      batches_.push_back({first, given_});
      look.highest = taken_.back().seq;
      look.is_all = row.size() < kTakeRows;
    }
    mark_.looked(look, began, Monotonic::now());
  }

  Cursor taken_from(std::int64_t from) {
    try {
      return Cursor(take_, from, column<std::int64_t>(taken_, [](const Taken& one) { return one.seq; }),
                    kTakeRows, given_);
    } catch (const ConstraintViolation&) {
      overtaken();
    }
  }

  [[noreturn]] void overtaken() {
    loaded_ = false;
    throw SourceBusy("another daemon takes rows of the same outbox");
  }

  // Rows that somebody has deleted meanwhile are passed over.
  void read_taken(std::int64_t after, std::size_t limit, std::size_t max_bytes, SourceRows& found) {
    std::size_t bytes = 0;
    std::int64_t last = after;  // it and all before it were looked for
    while (bytes < max_bytes && found.rows.size() < limit) {
      const auto first = after_of(last);
      const auto wanted =
          std::min<std::size_t>(static_cast<std::size_t>(taken_.end() - first), limit - found.rows.size());
      if (wanted == 0) break;
      const std::vector<Taken> rows(first, first + static_cast<std::ptrdiff_t>(wanted));
      const auto answer = static_cast<std::int64_t>(std::min(kAnswerBytes, max_bytes - bytes));
      Cursor row(rows_, column<std::int64_t>(rows, [](const Taken& one) { return one.seq; }), answer,
                 static_cast<std::int64_t>(options_.max_row_bytes));
      std::size_t place = 0;  // of the next one that is looked for
      while (row.next()) {
        const auto its = static_cast<std::size_t>(row.integer(0)) - 1;
        for (; place < its; ++place) forget(rows[place].number);
        ++place;
        last = rows[its].number;
        found.rows.push_back(read_row(row, last));
        bytes += found.rows.back().row.payload.size();
      }
      if (row.size() > 0) continue;
      for (const Taken& one : rows) forget(one.number);
      last = rows.back().number;
    }
  }

  static SourceRow read_row(const Cursor& row, std::int64_t number) {
    SourceRow found;
    found.row.row = number;
    found.seq = row.integer(1);
    if (row.boolean(14)) {
      found.unreadable = "the row is larger than [limits] event_bytes allows";
      return found;
    }
    found.row.type = row.text(2);
    found.row.payload = row.text(3);
    found.row.payload_is_text = row.number(4) != 0;
    found.row.tenant = row.optional_text(5);
    found.row.content_type = row.optional_text(6);
    found.row.ordering_key = row.optional_text(7);
    found.row.idempotency_key = row.optional_text(8);
    found.row.headers = row.optional_text(9);
    found.row.deliver_at = row.optional_text(10);
    found.row.expires_at = row.optional_text(11);
    found.row.traceparent = row.optional_text(12);
    found.row.priority = row.optional_integer(13);
    return found;
  }

  // A lock of the application delays it, which need not delay the relaying; but not without end.
  void delete_rows(const std::vector<std::int64_t>& seqs, const std::vector<std::int64_t>& batches,
                   std::int64_t newest) {
    try {
      clear_.run(seqs, batches, newest);
    } catch (const ServerFailure& failure) {
      if (!is_contention(failure) || taken_.size() < kMaxTaken) throw;
      throw SourceFailure(
          std::to_string(taken_.size()) +
          " rows are relayed and cannot be deleted, because somebody keeps them locked: " + failure.what());
    }
  }

  bool is_rung() {
    bool rung = false;
    while (PGnotify* const notification = PQnotifies(db_.handle())) {
      rung = rung || *notification->extra == '\0';  // daemons ring for each other with words
      PQfreemem(notification);
    }
    return rung;
  }

  const SourceDatabaseOptions options_;
  const std::unique_ptr<Connection> connection_;
  Connection& db_ = *connection_;
  Statement database_of_{db_, sql::kSourceDatabase}, lock_{db_, sql::kSourceLock};
  Statement free_lock_{db_, sql::kSourceFreeLock}, taken_before_{db_, sql::kSourceTaken};
  Statement take_{db_, sql::kSourceTake}, rows_{db_, sql::kSourceRows}, reject_{db_, sql::kSourceReject};
  Statement clear_{db_, sql::kSourceClear}, counts_{db_, sql::kSourceCounts};
  std::minstd_rand random_{std::random_device{}()};

  bool locked_ = false, loaded_ = false;
  std::string database_;
  std::int64_t given_ = 0;     // the highest number that a row was given
  std::deque<Batch> batches_;  // as they are in outbox_taken
  TakenRows taken_;            // in order of both
  OutboxMark mark_;
};

}  // namespace

std::unique_ptr<Source> open_source_database(const SourceDatabaseOptions& options) {
  return std::make_unique<SourceDatabase>(options);
}

std::string source_database_ddl() {
  return postgresql::source_ddl();
}

SourceDatabaseReport check_source_database(const std::string& url) {
  SourceDatabaseReport report;
  try {
    const auto db = open_checked(url);
    on_source([&] {
      db->execute("SET default_transaction_read_only = on");
      Statement counts(*db, sql::kSourceCounts);
      Cursor row(counts, kMaxCounted);
      row.next();
      report.counts = {row.integer(0), row.integer(1)};
    });
  } catch (const SourceFailure& failure) {
    report.problem = failure.what();
  }
  return report;
}

}  // namespace outboxd
