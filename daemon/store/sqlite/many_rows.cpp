#include "store/sqlite/many_rows.h"

#include <algorithm>
#include <string>

namespace outboxd::sqlite {
namespace {

constexpr std::string_view kValues = "VALUES ";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Calls `take` with each piece of `row`: text, and the number of the parameter behind it (0: none).
template <class Take>
void for_each_parameter(std::string_view row, Take take) {
  while (!row.empty()) {
    const std::size_t mark = std::min(row.find('?'), row.size());
    const std::string_view text = row.substr(0, mark);
    row.remove_prefix(std::min(mark + 1, row.size()));
    int number = 0;
    for (; !row.empty() && is_digit(row.front()); row.remove_prefix(1))
      number = number * 10 + (row.front() - '0');
    take(text, number);
  }
}

// "(?1, 'pending', ?2)"
std::string_view row_of(std::string_view insert) {
  const std::size_t begin = insert.find(kValues) + kValues.size();
  return insert.substr(begin, insert.find(')', begin) + 1 - begin);
}

int parameters_of(std::string_view insert) {
  int most = 0;
  for_each_parameter(row_of(insert), [&](std::string_view, int number) { most = std::max(most, number); });
  return most;
}

std::string with_rows(std::string_view insert, int rows) {
  std::string sql(insert.substr(0, insert.find(kValues) + kValues.size()));
  for (int row = 0; row < rows; ++row) {
    if (row > 0) sql += ", ";
    for_each_parameter(row_of(insert), [&](std::string_view text, int number) {
      sql += text;
      if (number > 0) sql += "?" + std::to_string(number + row * parameters_of(insert));
    });
  }
  return sql;
}

}  // namespace

ManyRows::ManyRows(Database& db, std::string_view insert_one)
    : parameters_(parameters_of(insert_one)),
      by_size_{Sized{16, Statement(db, with_rows(insert_one, 16))},
               Sized{4, Statement(db, with_rows(insert_one, 4))},
               Sized{1, Statement(db, with_rows(insert_one, 1))}} {}

}  // namespace outboxd::sqlite
