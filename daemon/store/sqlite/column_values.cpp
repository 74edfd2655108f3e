#include "store/sqlite/column_values.h"

namespace outboxd::sqlite {

void corrupt(std::string_view what) {
  throw CorruptValue("the database holds a value that outboxd never wrote: " + std::string(what));
}

int int_between(const Cursor& row, int column, int least, int most, std::string_view name) {
  const std::int64_t value = row.integer(column);
  if (value < least || value > most) corrupt(name);
  return static_cast<int>(value);
}

namespace {
constexpr Millis kMaxDuration = std::chrono::hours(24 * 366 * 10);
}  // namespace

Millis bounded(Millis d, std::string_view column) {
  if (d < Millis(0) || d > kMaxDuration) corrupt(column);
  return d;
}

std::optional<std::string> encode_headers(const std::vector<HeaderField>& headers) {
  if (headers.empty()) return std::nullopt;
  Json list = Json::array();
  for (const auto& field : headers) list.push_back(Json::array({field.name, field.value}));
  return dump(list);
}

std::vector<HeaderField> decode_headers(std::string_view text) {
  std::vector<HeaderField> headers;
  if (text.empty()) return headers;
  for_each(text, "headers", [&headers](const Json& field) {
    headers.push_back({field.at(0).get<std::string>(), field.at(1).get<std::string>()});
  });
  return headers;
}

}  // namespace outboxd::sqlite
