#include "store/postgresql/postgres_copy.h"

#include <algorithm>
#include <utility>

#include "common/json.h"
#include "common/json_span.h"
#include "common/media_type.h"
#include "common/text.h"
#include "migrations/embedded.h"
#include "store/postgresql/copy_statements.h"
#include "store/postgresql/first_connection.h"
#include "store/postgresql/operator_session.h"
#include "store/postgresql/schema.h"
#include "store/rollup.h"

namespace outboxd {
namespace {

using namespace postgresql;

constexpr const char* kUnfinished = "copying";  // installation.system_identifier, so that no daemon serves it
constexpr std::size_t kRollupSums = 7;          // `accepted`, the first of what is added up

// Numbers of any width, and booleans, as numbers; uuids as their 16 bytes.
std::string read_column(const CopyTable& table, const CopyColumn& column) {
  std::string name = '"' + std::string(column.name) + '"';
  if (column.type == CopyType::kNumber) {
    const bool boolean = column.name == "blocked" || column.name == "resent" || column.name == "discarding" ||
                         (table.name == "batch" && column.name == "counted");
    return boolean ? name + "::integer" : name;
  }
  if (column.type == CopyType::kBytes && column.name == "id") return "uuid_send(" + name + ")";
  return name;
}

// The order of texts is that of their bytes, whatever the database's is.
std::vector<std::string> key_of(const CopyTable& table) {
  std::vector<std::string> key;
  key.reserve(table.key);
  for (const CopyColumn& column : table.columns.first(table.key))
    key.push_back('"' + std::string(column.name) + '"' +
                  (column.type == CopyType::kText ? " COLLATE \"C\"" : ""));
  return key;
}

std::string from_of(const CopyTable& table) {
  const auto other = sql::kCopiedFrom.find(table.name);
  return std::string(other == sql::kCopiedFrom.end() ? table.name : other->second);
}

std::string join(const std::vector<std::string>& parts, std::string_view after_each) {
  std::string all;
  for (const std::string& part : parts) all += (all.empty() ? "" : ", ") + part + std::string(after_each);
  return all;
}

// As of one moment, in a session of its own: a cursor of the server's, for whole tables do not fit into memory.
class Rows final : public CopyRows {
 public:
  Rows(const std::string& url, const CopyTable& table) : table_(table), db_(operator_session(url)) {
    plan_for_whole_tables(db_);
  }

  void begin(const CopyRow& after) {
    std::vector<std::string> columns;
    columns.reserve(table_.columns.size());
    for (const CopyColumn& column : table_.columns) columns.push_back(read_column(table_, column));
    const auto key = key_of(table_);
    db_.execute(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
        "DECLARE copied NO SCROLL CURSOR FOR SELECT " +
        join(columns, "") + " FROM " + from_of(table_) + sql_after(key, after) + " ORDER BY " +
        join(key, ""));
  }

  std::optional<CopyRow> next() override {
    auto row = next_stored();
    if (!row || table_.name != "rollup") return row;
    while (ahead_ || (ahead_ = next_stored_row())) {
      if (!std::equal(row->begin(), row->begin() + static_cast<std::ptrdiff_t>(table_.key), ahead_->begin()))
        break;
      add_up(*row, *ahead_);
      ahead_.reset();
    }
    return row;
  }

 private:
  std::optional<CopyRow> next_stored() {
    if (ahead_) return std::exchange(ahead_, std::nullopt);
    return next_stored_row();
  }
  std::optional<CopyRow> next_stored_row() {
    if (!some_ || !some_->next()) {
      some_.emplace(fetch_);
      if (!some_->next()) return std::nullopt;
    }
    return read_row(table_, *some_);
  }

  // Each member has rows of its own, and what is meant is their sum.
  static void add_up(CopyRow& sum, const CopyRow& more) {
    const auto histogram = [](const CopyValue& value) {
      auto read = Histogram::decode(std::get<std::string>(value));
      if (!read) throw CorruptValue("a histogram of the roll-up is none");
      return *read;
    };
    const auto number = [](const CopyValue& value) { return std::get_if<std::int64_t>(&value); };
    for (std::size_t i = kRollupSums; i < kRollupSums + 5; ++i)
      sum[i] = std::get<std::int64_t>(sum[i]) + std::get<std::int64_t>(more[i]);
    for (std::size_t i = kRollupSums + 5; i < kRollupSums + 7; ++i) {
      Histogram both = histogram(sum[i]);
      both += histogram(more[i]);
      sum[i] = both.encode();
    }
    CopyValue& first = sum[kRollupSums + 7];
    CopyValue& last = sum[kRollupSums + 8];
    const auto* more_first = number(more[kRollupSums + 7]);
    const auto* more_last = number(more[kRollupSums + 8]);
    if (more_first != nullptr && (number(first) == nullptr || *more_first < *number(first)))
      first = *more_first;
    if (more_last != nullptr && (number(last) == nullptr || *more_last > *number(last))) {
      last = *more_last;
      sum[kRollupSums + 9] = more[kRollupSums + 9];
    }
  }

  const CopyTable& table_;
  Connection db_;
  Statement fetch_{db_, "FETCH 1000 FROM copied"};
  std::optional<Cursor> some_;
  std::optional<CopyRow> ahead_;
};

class PostgresCopy final : public CopyTarget {
 public:
  PostgresCopy(const PostgresOptions& options, bool into)
      : url_(options.url), db_(first_connection(operator_session(url_))) {
    plan_for_whole_tables(db_);
    into ? begin_target() : check_schema();
    const std::int64_t members = db_.query_int(
        "SELECT count(*) FROM member WHERE NOT fenced AND heartbeat_at > clock_millis() - 15000");
    if (members > 0)
      throw StoreError(StoreError::Kind::kLocked, "the database is served by " + std::to_string(members) +
                                                      " daemons (or was, a moment ago): stop them first");
  }

  std::unique_ptr<CopyRows> rows(const CopyTable& table, const CopyRow& after) override {
    auto rows = std::make_unique<Rows>(url_, table);
    rows->begin(after);
    return rows;
  }

  CopyNumbers numbers() override {
    const auto given = [this](const char* sequence) {
      return db_.query_int("SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM " +
                           std::string(sequence));
    };
    return {.event_seq = given("event_seq"),
            .endpoint_seq = given("endpoint_seq"),
            .batches = db_.query_int("SELECT batches FROM directory"),
            .rolled_up = db_.query_int("SELECT rolled_up FROM sweep"),
            .types_counted = db_.query_int("SELECT types_counted FROM sweep"),
            .payloads_gone = db_.query_int("SELECT payloads_gone FROM sweep")};
  }

  CopyRow last_key(const CopyTable& table) override {
    std::vector<std::string> names;
    names.reserve(table.key);
    for (const CopyColumn& column : table.columns.first(table.key))
      names.push_back('"' + std::string(column.name) + '"');
    Statement last(db_, "SELECT " + join(names, "") + " FROM " + from_of(table) + " ORDER BY " +
                            join(key_of(table), " DESC") + " LIMIT 1");
    Cursor row(last);
    if (!row.next()) return {};
    CopyRow key(table.key);
    for (std::size_t i = 0; i < table.key; ++i) {
      const int column = static_cast<int>(i);
      table.columns[i].type == CopyType::kNumber ? key[i] = row.integer(column) : key[i] = row.text(column);
    }
    return key;
  }

  void put(const CopyTable& table, std::span<const CopyRow> rows) override {
    const std::string given = json_of(table, rows);
    const bool judged = table.name == "outbox";  // by triggers, which are for what producers insert
    db_.execute("BEGIN; SET LOCAL synchronous_commit = off");
    try {
      if (judged) db_.execute("ALTER TABLE outbox DISABLE TRIGGER USER");
      if (table.name == "event") {
        Statement make_days(db_, sql::kMakeDays);
        const Cursor made(make_days, given);
      }
      Statement(db_, sql::kCopiedInto.at(table.name)).run(given);
      if (judged) db_.execute("ALTER TABLE outbox ENABLE TRIGGER USER");
      db_.execute("COMMIT");
    } catch (const ConstraintViolation& violation) {
      db_.execute("ROLLBACK");
      throw CopyFailure("a row of " + std::string(table.name) + " does not fit: " + violation.what());
    }
  }

  void complete(const CopyNumbers& numbers) override {
    const auto number = [](std::int64_t value) { return std::to_string(value); };
    const auto given = [&](const char* sequence, std::int64_t last) {
      return "SELECT setval('" + std::string(sequence) + "', " + number(last + 1) + ", false); ";
    };
    db_.execute("BEGIN; " + std::string(sql::kCountCopied) + "; " + given("event_seq", numbers.event_seq) +
                given("endpoint_seq", numbers.endpoint_seq) + given("batch_number", numbers.batches) +
                "UPDATE directory SET batches = " + number(numbers.batches) +
                "; UPDATE sweep SET rolled_up = " + number(numbers.rolled_up) +
                ", types_counted = " + number(numbers.types_counted) +
                ", payloads_gone = " + number(numbers.payloads_gone) + "; COMMIT; ANALYZE");
  }

  void release() override {
    db_.execute(
        "UPDATE installation SET system_identifier = (SELECT system_identifier::text FROM "
        "pg_control_system())");
  }

 private:
  void check_schema() {
    const int known = newest_version(embedded::postgresql_migrations());
    const int current = schema_version(db_);
    if (current != known)
      throw StoreError(StoreError::Kind::kCannotOpen, "the database has schema " + std::to_string(current) +
                                                          ", this program knows " + std::to_string(known) +
                                                          ": start the newest outboxd over it once");
    if (db_.query_text("SELECT system_identifier FROM installation") == kUnfinished)
      throw StoreError(StoreError::Kind::kCannotOpen, "the database is itself a copy that was not finished");
  }

  void begin_target() {
    check_server(db_, operator_session(url_));
    if (schema_version(db_) == 0) prepare_schema(db_, embedded::postgresql_migrations());
    if (db_.query_text("SELECT system_identifier FROM installation") == kUnfinished) return;
    check_schema();
    if (!db_.query_text(
                "SELECT 1 WHERE EXISTS (SELECT 1 FROM event) OR EXISTS (SELECT 1 FROM endpoint) OR EXISTS "
                "(SELECT 1 FROM outbox) OR EXISTS (SELECT 1 FROM batch)")
             .empty())
      throw StoreError(StoreError::Kind::kCannotOpen,
                       "the database is not empty: a copy is made into one that outboxd has not used yet");
    db_.execute("UPDATE installation SET system_identifier = '" + std::string(kUnfinished) + "'");
  }

  static Json json_of(const CopyTable& table, const CopyRow& row) {
    Json values = Json::array();
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (const auto* number = std::get_if<std::int64_t>(&row[i])) {
        values.push_back(*number);
      } else if (const auto* text = std::get_if<std::string>(&row[i])) {
        values.push_back(table.columns[i].type == CopyType::kBytes ? hex_encode(*text) : *text);
      } else {
        values.push_back(nullptr);
      }
    }
    if (table.name == "outbox") {
      const auto* type = std::get_if<std::string>(&row[4]);  // content_type
      values.push_back((type == nullptr || declares_json(*type)) && is_json(std::get<std::string>(row[2])));
    }
    return values;
  }
  static std::string json_of(const CopyTable& table, std::span<const CopyRow> rows) {
    Json all = Json::array();
    for (const CopyRow& row : rows) all.push_back(json_of(table, row));
    return all.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  const std::string url_;
  Connection db_;
};

}  // namespace

std::unique_ptr<CopySource> copy_from_postgres(const PostgresOptions& options) {
  return std::make_unique<PostgresCopy>(options, false);
}

std::unique_ptr<CopyTarget> copy_to_postgres(const PostgresOptions& options) {
  return std::make_unique<PostgresCopy>(options, true);
}

}  // namespace outboxd
