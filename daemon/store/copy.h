// Moves all that a store keeps into an empty one of another kind, table by table, row by row: an operator's tool, for stores
// that nobody serves meanwhile. Both kinds give and take the same rows; what each makes of them (partitions, counters, due
// times by a clock of its own) is its own affair. Afterwards both are read once more and compared.
//
// A copy that was interrupted goes on where it stopped, and a target that is not complete cannot be served.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace outboxd {

struct CopyFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Null, a number, or a text (UTF-8) or bytes, as the column says.
using CopyValue = std::variant<std::monostate, std::int64_t, std::string>;
using CopyRow = std::vector<CopyValue>;

enum class CopyType { kNumber, kText, kBytes };
struct CopyColumn {
  std::string_view name;
  CopyType type;
};
// The first `key` columns tell the rows apart, and are their order: numbers, and texts by their bytes.
struct CopyTable {
  std::string_view name;
  std::size_t key;
  std::span<const CopyColumn> columns;
};

// The current row of a cursor over the table's columns, in their order.
template <class Cursor>
CopyRow read_row(const CopyTable& table, const Cursor& cursor) {
  CopyRow row(table.columns.size());
  for (std::size_t i = 0; i < row.size(); ++i) {
    const int column = static_cast<int>(i);
    if (cursor.is_null(column)) continue;
    if (table.columns[i].type == CopyType::kNumber) {
      row[i] = cursor.integer(column);
    } else {
      row[i] = cursor.text(column);
    }
  }
  return row;
}
std::span<const CopyTable> copied_tables();

// What has been given out, beside the rows: numbers are never given twice, and sweeps go on where they were.
struct CopyNumbers {
  std::int64_t event_seq = 0, endpoint_seq = 0, batches = 0;
  std::int64_t rolled_up = 0, types_counted = 0, payloads_gone = 0;
  bool operator==(const CopyNumbers&) const = default;
};

class CopyRows {
 public:
  virtual ~CopyRows() = default;
  virtual std::optional<CopyRow> next() = 0;
};
class CopySource {
 public:
  virtual ~CopySource() = default;
  // In order, those after this key; {}: from the first on.
  virtual std::unique_ptr<CopyRows> rows(const CopyTable& table, const CopyRow& after) = 0;
  virtual CopyNumbers numbers() = 0;
};
class CopyTarget : public CopySource {
 public:
  // The key of the last row that an earlier copy has put; {}: none.
  virtual CopyRow last_key(const CopyTable& table) = 0;
  virtual void put(const CopyTable& table, std::span<const CopyRow> rows) = 0;  // all or none
  // Everything is there: counts it, so that it can be served.
  virtual void complete(const CopyNumbers& numbers) = 0;
  // It has been compared: it may be served from now on.
  virtual void release() = 0;
};

struct Copied {
  std::int64_t events = 0, deliveries = 0, attempts = 0, endpoints = 0, other = 0;
};
// `progress` is told the rows done so far, of the table named, first copied and then compared. Throws StoreError, and
// CopyFailure for what cannot be copied or has arrived as something else.
using CopyProgress = std::function<void(std::string_view table, bool compares, std::int64_t rows)>;
Copied copy_store(CopySource& from, CopyTarget& to, const CopyProgress& progress);

// For SQL of both kinds of store: 42, 'it''s', NULL. Not for bytes.
std::string sql_literal(const CopyValue& value);
// " WHERE (a, b) > (1, 'x')"; "": there is no key to be after.
std::string sql_after(std::span<const std::string> key, const CopyRow& after);

}  // namespace outboxd
