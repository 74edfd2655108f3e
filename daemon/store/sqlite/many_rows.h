// An INSERT that takes several rows in one run of a statement. Opening the cursors of a table and of all its indexes
// costs SQLite as much as the row itself; this way they are opened once for sixteen rows, or for four.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "store/sqlite/database.h"

namespace outboxd::sqlite {

class ManyRows {
 public:
  // From the statement for one row, without its ON CONFLICT.
  ManyRows(Database& db, std::string_view insert_one);

  // Inserts all of `rows`. `bind(statement, first, row)` binds the values of a row: statement.bind_from(first, ...).
  template <class Rows, class Bind>
  void insert(const Rows& rows, Bind bind) {
    std::size_t done = 0;
    for (auto& [size, statement] : by_size_) {
      for (; rows.size() - done >= size; done += size) {
        for (std::size_t row = 0; row < size; ++row)
          bind(statement, static_cast<int>(row) * parameters_, rows[done + row]);
        statement.run_bound();
      }
    }
  }

 private:
  struct Sized {
    std::size_t rows;
    Statement statement;
  };
  int parameters_;  // of one row
  std::array<Sized, 3> by_size_;
};

}  // namespace outboxd::sqlite
