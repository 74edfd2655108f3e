// Rows for the table `pending` that are gathered and inserted together.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/delivery.h"
#include "store/postgresql/connection.h"

namespace outboxd::postgresql {

struct PendingRow {
  DeliveryKey key;
  int day = 0;
  std::int64_t due_at = 0;
  int priority = 0;
  int attempts = 0, attempts_ever = 0;
  bool blocked = false;
  std::optional<std::string> sequence_key;
  std::optional<std::string> error;
  std::int64_t created_at = 0;
  std::optional<std::int64_t> expires_at;
  std::int64_t after_batch = 0;
};

inline constexpr std::string_view kPendingColumns =
    "event, endpoint, day, due_at, priority, attempts, attempts_ever, blocked, sequence_key, error, "
    "created_at,"
    " expires_at, after_batch";
// From a row of these columns, the first of them being column `first`.
PendingRow read_pending(const Cursor& row, int first = 0);

class PendingRows {
 public:
  explicit PendingRows(Connection& db);

  void add(PendingRow row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  // Adds the statement that inserts what was gathered, if anything was.
  void write(Pipeline& pipeline);
  void drop() { rows_.clear(); }

 private:
  std::vector<PendingRow> rows_;
  Statement insert_;
};

}  // namespace outboxd::postgresql
