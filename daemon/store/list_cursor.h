// The cursors of lists: the letter of the list that one belongs to, followed by the key of the last row, "d17-4". Shared by
// the stores; pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/id.h"
#include "common/problem.h"

namespace outboxd {

using CursorKey = std::vector<std::int64_t>;
std::string write_cursor(char list, const CursorKey& key);
// An empty text is the first page, and gives `start`. Refused: a cursor of another list.
Result<CursorKey> read_cursor(const std::string& text, char list, CursorKey start);
tl::unexpected<Problem> foreign_cursor();

// A position among the deliveries pending in order at one endpoint: "o", the sequence key in hex, "-", the event.
struct PlaceInOrder {
  static constexpr char kList = 'o';
  std::string sequence_key;
  EventSeq event = 0;
};
std::string write_cursor(const PlaceInOrder& place);
Result<PlaceInOrder> read_place_in_order(std::string_view cursor);  // one that starts with kList

// A position among event types: "t", the tenant, "~", the type. Neither can hold a "~".
using TypeKey = std::pair<std::string, std::string>;  // tenant, type
std::string write_cursor(const TypeKey& last);
Result<TypeKey> read_type_cursor(std::string_view cursor);

// The first UUIDv7 of a time (RFC 9562): ids of things made earlier are smaller.
Uuid first_id_of(Time t);

}  // namespace outboxd
