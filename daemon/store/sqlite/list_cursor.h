// The cursors of lists: the letter of the list that one belongs to, followed by the key of the last row, "d17-4".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/problem.h"

namespace outboxd::sqlite {

using Key = std::vector<std::int64_t>;
std::string write_cursor(char list, const Key& key);
// An empty text is the first page, and gives `start`. Refused: a cursor of another list.
Result<Key> read_cursor(const std::string& text, char list, Key start);
tl::unexpected<Problem> foreign_cursor();

}  // namespace outboxd::sqlite
