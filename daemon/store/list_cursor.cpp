#include "store/list_cursor.h"

#include <algorithm>

#include "common/event.h"
#include "common/text.h"

namespace outboxd {
namespace {

constexpr char kTypes = 't', kSeparator = '~';

}  // namespace

std::string write_cursor(char list, const CursorKey& key) {
  std::string text(1, list);
  for (const auto part : key) text += (text.size() > 1 ? "-" : "") + std::to_string(part);
  return text;
}

tl::unexpected<Problem> foreign_cursor() {
  return problem(ProblemCode::kInvalidParameter,
                 "cursor must be next_cursor of the page before, of the same list",
                 {{"cursor", "must be next_cursor of the page before, of the same list"}});
}

Result<CursorKey> read_cursor(const std::string& text, char list, CursorKey start) {
  if (text.empty()) return start;
  CursorKey key;
  if (text[0] == list) {
    std::string_view rest = std::string_view(text).substr(1);
    while (true) {
      const auto part = parse_int(rest.substr(0, rest.find('-')));
      if (!part || *part < 0) break;
      key.push_back(*part);
      if (rest.find('-') == rest.npos) {
        if (key.size() == start.size()) return key;
        break;
      }
      rest.remove_prefix(rest.find('-') + 1);
    }
  }
  return foreign_cursor();
}

std::string write_cursor(const PlaceInOrder& place) {
  return PlaceInOrder::kList + hex_encode(place.sequence_key) + '-' + std::to_string(place.event);
}

Result<PlaceInOrder> read_place_in_order(std::string_view cursor) {
  const std::size_t dash = std::min(cursor.find('-'), cursor.size() - 1);
  auto sequence_key = hex_decode(cursor.substr(1, dash - 1));
  const auto event = parse_int(cursor.substr(dash + 1));
  if (!sequence_key || !event || *event < 0) return foreign_cursor();
  return PlaceInOrder{std::move(*sequence_key), *event};
}

std::string write_cursor(const TypeKey& last) {
  return kTypes + last.first + kSeparator + last.second;
}

Result<TypeKey> read_type_cursor(std::string_view cursor) {
  if (cursor.empty()) return TypeKey{};
  const std::size_t separator = cursor.find(kSeparator);
  if (cursor[0] != kTypes || separator == cursor.npos) return foreign_cursor();
  const std::string_view tenant = cursor.substr(1, separator - 1), type = cursor.substr(separator + 1);
  if (!is_tenant(tenant) || !(is_event_type(type) || type == "*")) return foreign_cursor();
  return TypeKey{tenant, type};
}

Uuid first_id_of(Time t) {
  Uuid id;
  const auto ms = static_cast<std::uint64_t>(unix_millis(t));
  for (int i = 0; i < 6; ++i)
    id.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  return id;
}

}  // namespace outboxd
