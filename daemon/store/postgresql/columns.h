// Rows turned into columns: what a statement with unnest() takes.
#pragma once

#include <vector>

namespace outboxd::postgresql {

// The values that `get` has of each row.
template <class T, class Rows, class Get>
std::vector<T> column(const Rows& rows, Get get) {
  std::vector<T> values;
  values.reserve(rows.size());
  for (const auto& row : rows) values.push_back(get(row));
  return values;
}

}  // namespace outboxd::postgresql
