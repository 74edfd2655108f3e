#include "store/column_values.h"

#include <algorithm>

namespace outboxd {

void corrupt(std::string_view what) {
  throw CorruptValue("the database holds a value that outboxd never wrote: " + std::string(what));
}

int int_between(std::int64_t value, int least, int most, std::string_view name) {
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

namespace {

// Almost all header text needs no escape. That of a response is stored with each attempt, so it is not worth a document.
void append_json(std::string& to, const std::string& text) {
  const auto is_plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
  if (std::all_of(text.begin(), text.end(), is_plain)) {
    to.append("\"").append(text).append("\"");
  } else {
    to.append(dump(Json(text)));
  }
}

}  // namespace

std::optional<std::string> encode_headers(const std::vector<HeaderField>& headers) {
  if (headers.empty()) return std::nullopt;
  std::size_t size = 2;
  for (const auto& field : headers) size += field.name.size() + field.value.size() + 8;
  std::string list;
  list.reserve(size);
  for (const auto& field : headers) {
    list.append(list.empty() ? "[[" : ",[");
    append_json(list, field.name);
    list.append(",");
    append_json(list, field.value);
    list.append("]");
  }
  list.append("]");
  return list;
}

std::vector<HeaderField> decode_headers(std::string_view text) {
  std::vector<HeaderField> headers;
  if (text.empty()) return headers;
  for_each(text, "headers", [&headers](const Json& field) {
    headers.push_back({field.at(0).get<std::string>(), field.at(1).get<std::string>()});
  });
  return headers;
}

}  // namespace outboxd
