#include "store/copy.h"

#include <algorithm>

namespace outboxd {
namespace {

constexpr std::size_t kRowsAtOnce = 1000;
constexpr std::size_t kBytesAtOnce = 8u << 20;

std::size_t size_of(const CopyRow& row) {
  std::size_t size = 0;
  for (const CopyValue& value : row) {
    if (const auto* text = std::get_if<std::string>(&value)) size += text->size();
  }
  return size;
}

std::string key_of(const CopyTable& table, const CopyRow& row) {
  std::string key(table.name);
  for (std::size_t i = 0; i < table.key; ++i) key += (i == 0 ? " " : ", ") + sql_literal(row[i]);
  return key;
}

std::int64_t copy_table(const CopyTable& table, CopySource& from, CopyTarget& to,
                        const CopyProgress& progress) {
  const auto rows = from.rows(table, to.last_key(table));
  std::int64_t done = 0;
  std::vector<CopyRow> some;
  some.reserve(kRowsAtOnce);
  std::size_t bytes = 0;
  const auto put = [&] {
    if (some.empty()) return;
    to.put(table, some);
    done += static_cast<std::int64_t>(some.size());
    some.clear();
    bytes = 0;
    progress(table.name, false, done);
  };
  while (auto row = rows->next()) {
    bytes += size_of(*row);
    some.push_back(std::move(*row));
    if (some.size() == kRowsAtOnce || bytes >= kBytesAtOnce) put();
  }
  put();
  return done;
}

std::string first_difference(const CopyTable& table, const CopyRow& was, const CopyRow& is) {
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    if (was[i] != is[i]) return std::string(table.columns[i].name);
  }
  return "nothing";
}

// Returns how many there are.
std::int64_t compare_table(const CopyTable& table, CopySource& from, CopySource& to,
                           const CopyProgress& progress) {
  const auto expected = from.rows(table, {}), found = to.rows(table, {});
  for (std::int64_t count = 0;; ++count) {
    const auto was = expected->next(), is = found->next();
    if (!was && !is) return progress(table.name, true, count), count;
    if (!was)
      throw CopyFailure(key_of(table, *is) + " is in the copy alone: it was not empty, or is another's");
    if (!is) throw CopyFailure(key_of(table, *was) + " is missing in the copy");
    if (*was != *is)
      throw CopyFailure(key_of(table, *was) +
                        " has arrived as something else: " + first_difference(table, *was, *is));
    if (count % static_cast<std::int64_t>(kRowsAtOnce) == 0) progress(table.name, true, count);
  }
}

}  // namespace

Copied copy_store(CopySource& from, CopyTarget& to, const CopyProgress& progress) {
  for (const CopyTable& table : copied_tables()) copy_table(table, from, to, progress);
  to.complete(from.numbers());
  Copied copied;
  for (const CopyTable& table : copied_tables()) {
    const std::int64_t rows = compare_table(table, from, to, progress);
    (table.name == "event"      ? copied.events
     : table.name == "delivery" ? copied.deliveries
     : table.name == "attempt"  ? copied.attempts
     : table.name == "endpoint" ? copied.endpoints
                                : copied.other) += rows;
  }
  if (from.numbers() != to.numbers())
    throw CopyFailure("the numbers that were given out are others in the copy");
  to.release();
  return copied;
}

std::string sql_literal(const CopyValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return "NULL";
  std::string quoted = "'";
  for (const char c : *text) quoted.append(c == '\'' ? 2 : 1, c);
  return quoted + "'";
}

std::string sql_after(std::span<const std::string> key, const CopyRow& after) {
  if (after.empty()) return "";
  std::string columns, values;
  for (std::size_t i = 0; i < key.size(); ++i) {
    columns += (i == 0 ? "" : ", ") + key[i];
    values += (i == 0 ? "" : ", ") + sql_literal(after[i]);
  }
  return " WHERE (" + columns + ") > (" + values + ")";
}

}  // namespace outboxd
