#include "store/sqlite/sqlite_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "common/media_type.h"
#include "store/sqlite/database.h"
#include "store/sqlite/file_lock.h"
#include "store/sqlite/schema.h"

namespace outboxd {
namespace {

using namespace sqlite;

constexpr int kCacheKib = 65536;
constexpr Millis kBusyTimeout{1000};

// How this store calls a column of the copy's rows, where that is not its name.
std::string expression(const CopyTable& table, std::string_view column) {
  const bool delivery = table.name == "delivery";
  if (delivery && column == "blocked") return "behind";
  if (delivery && column == "sequence_key") return "order_key";
  if (delivery && column == "due_at") return "due_at - (SELECT due_ahead FROM counter)";
  if (delivery && column == "expires_at") return "CASE WHEN state = 'pending' THEN expires_at END";
  if (column == "after_batch") return "coalesce(after_batch, 0)";
  if (table.name == "outbox" && column == "payload") return "CAST(payload AS BLOB)";
  if (table.name == "outbox" && (column == "deliver_at" || column == "expires_at"))
    return "CAST(" + std::string(column) + " AS TEXT)";
  return '"' + std::string(column) + '"';
}
// The column that it is put into.
std::string place(const CopyTable& table, std::string_view column) {
  if (table.name == "delivery" && column == "blocked") return "behind";
  if (table.name == "delivery" && column == "sequence_key") return "order_key";
  return '"' + std::string(column) + '"';
}

template <class Text>
std::string joined(const CopyTable& table, std::size_t count, Text text) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += (i == 0 ? "" : ", ") + text(table.columns[i].name);
  return all;
}

class Rows final : public CopyRows {
 public:
  Rows(Database& db, const CopyTable& table, const CopyRow& after)
      : table_(table), statement_(db, sql(table, after)), row_(statement_) {}

  std::optional<CopyRow> next() override {
    if (!row_.next()) return std::nullopt;
    return read_row(table_, row_);
  }

 private:
  static std::string sql(const CopyTable& table, const CopyRow& after) {
    std::vector<std::string> key;
    key.reserve(table.key);
    for (std::size_t i = 0; i < table.key; ++i) key.push_back(place(table, table.columns[i].name));
    const auto read = [&table](std::string_view column) { return expression(table, column); };
    const auto name = [&table](std::string_view column) { return place(table, column); };
    return "SELECT " + joined(table, table.columns.size(), read) + " FROM " + std::string(table.name) +
           sql_after(key, after) + " ORDER BY " + joined(table, table.key, name);
  }

  const CopyTable& table_;
  Statement statement_;
  Cursor row_;
};

class SqliteCopy final : public CopyTarget {
 public:
  // `target`: what the file is called when it is released; "": it is only read.
  SqliteCopy(const std::string& path, std::string target)
      : target_(std::move(target)),
        location_(path),
        lock_(location_),
        db_(open(location_, !target_.empty())) {}

  std::unique_ptr<CopyRows> rows(const CopyTable& table, const CopyRow& after) override {
    return std::make_unique<Rows>(db_, table, after);
  }

  CopyNumbers numbers() override {
    Statement read(db_,
                   "SELECT event_seq, endpoint_seq, batches, rolled_up, types_counted, payloads_gone FROM "
                   "counter");
    Cursor row(read);
    row.next();
    return {row.integer(0), row.integer(1), row.integer(2), row.integer(3), row.integer(4), row.integer(5)};
  }

  CopyRow last_key(const CopyTable& table) override {
    const auto name = [&table](std::string_view column) { return place(table, column); };
    const auto descending = [&table](std::string_view column) { return place(table, column) + " DESC"; };
    Statement last(db_, "SELECT " + joined(table, table.key, name) + " FROM " + std::string(table.name) +
                            " ORDER BY " + joined(table, table.key, descending) + " LIMIT 1");
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
    const auto name = [&table](std::string_view column) { return place(table, column); };
    const auto value = [](std::string_view) { return std::string("?"); };
    Statement insert(db_, "INSERT INTO " + std::string(table.name) + "(" +
                              joined(table, table.columns.size(), name) + ") VALUES (" +
                              joined(table, table.columns.size(), value) + ")");
    db_.execute("BEGIN IMMEDIATE");
    try {
      for (const CopyRow& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) bind(insert, table, row, i);
        insert.run_bound();
      }
      db_.execute("COMMIT");
    } catch (const ConstraintViolation& violation) {
      db_.execute("ROLLBACK");
      throw CopyFailure("a row of " + std::string(table.name) + " does not fit: " + violation.what());
    }
  }

  void complete(const CopyNumbers& numbers) override {
    db_.execute("BEGIN IMMEDIATE");
    db_.execute(
        "DELETE FROM endpoint_count; INSERT INTO endpoint_count (endpoint, pending, delivered, dead, "
        "discarded) "
        "SELECT endpoint, sum(state = 'pending'), sum(state = 'delivered'), sum(state = 'dead'), sum(state = "
        "'discarded') FROM delivery GROUP BY endpoint");
    Statement count(
        db_,
        "UPDATE counter SET event_seq = ?, endpoint_seq = ?, batches = ?, rolled_up = ?, types_counted = ?, "
        "payloads_gone = ?, events = (SELECT count(*) FROM event), "
        "event_types = (SELECT count(*) FROM event_type), "
        "last_unchecked = coalesce((SELECT max(seq) FROM event WHERE checksum IS NULL), 0), "
        "pending = (SELECT coalesce(sum(pending), 0) FROM endpoint_count), "
        "delivered = (SELECT coalesce(sum(delivered), 0) FROM endpoint_count), "
        "dead = (SELECT coalesce(sum(dead), 0) FROM endpoint_count), "
        "discarded = (SELECT coalesce(sum(discarded), 0) FROM endpoint_count)");
    count.run(numbers.event_seq, numbers.endpoint_seq, numbers.batches, numbers.rolled_up,
              numbers.types_counted, numbers.payloads_gone);
    db_.execute("COMMIT");
  }

  void release() override {
    db_.checkpoint_all();
    const std::string part = location_.path;
    const int fd = ::open(part.c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    if (!synced || std::rename(part.c_str(), target_.c_str()) != 0)
      throw CopyFailure("the copy is complete, and cannot be called " + target_ + ": rename " + part);
    for (const char* suffix : {"-wal", "-shm", ".lock"}) unlink((part + suffix).c_str());
  }

 private:
  static Database open(const Location& location, bool create) {
    if (!inspect_file(location)) {
      if (!create) throw StoreError(StoreError::Kind::kCannotOpen, "there is no database " + location.path);
      create_file(location.path, embedded::sqlite_migrations());
    }
    Database db(location, Mode::kWriter, kBusyTimeout, kCacheKib);
    const int known = newest_version(embedded::sqlite_migrations());
    if (const int version = schema_version(db); version != known)
      throw StoreError(StoreError::Kind::kNewerSchema,
                       location.path + " has schema " + std::to_string(version) + ", this program knows " +
                           std::to_string(known) + ": start the newest outboxd over it once");
    // The triggers judge what producers insert; these rows were judged where they come from.
    sqlite3_db_config(db.handle(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
    return db;
  }

  // A payload that is JSON is text in the SQL outbox, and times are numbers if they look like ones.
  static void bind(Statement& insert, const CopyTable& table, const CopyRow& row, std::size_t i) {
    const int before = static_cast<int>(i);
    const CopyValue& value = row[i];
    if (std::holds_alternative<std::monostate>(value)) return insert.bind_from(before, std::nullopt);
    if (const auto* number = std::get_if<std::int64_t>(&value)) return insert.bind_from(before, *number);
    const std::string_view text = std::get<std::string>(value);
    bool is_text = table.columns[i].type == CopyType::kText;
    if (table.name == "outbox") {
      const std::string_view column = table.columns[i].name;
      const bool time = column == "deliver_at" || column == "expires_at";
      if (time && text.find_first_not_of("0123456789") == std::string_view::npos)
        return insert.bind_from(before, static_cast<std::int64_t>(std::stoll(std::string(text))));
      if (column == "payload") {
        const auto* type = std::get_if<std::string>(&row[4]);  // content_type
        is_text = type == nullptr || declares_json(*type);
      }
    }
    is_text ? insert.bind_from(before, text) : insert.bind_from(before, Blob{text});
  }

  const std::string target_;
  const Location location_;
  FileLock lock_;
  Database db_;
};

}  // namespace

std::unique_ptr<CopySource> copy_from_sqlite(const SqliteOptions& options) {
  return std::make_unique<SqliteCopy>(options.path, "");
}

std::unique_ptr<CopyTarget> copy_to_sqlite(const SqliteOptions& options) {
  if (std::filesystem::exists(std::filesystem::symlink_status(options.path)))
    throw CopyFailure(options.path + " exists already: a copy is made into a new file");
  return std::make_unique<SqliteCopy>(options.path + ".copying", options.path);
}

}  // namespace outboxd
