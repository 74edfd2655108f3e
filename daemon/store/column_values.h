// Reading what columns hold with a doubt: a value that outboxd never wrote means a corrupt database (CorruptValue), never
// undefined behaviour. Shared by the stores.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/event.h"
#include "common/json.h"
#include "common/time.h"
#include "store/errors.h"

namespace outboxd {

[[noreturn]] void corrupt(std::string_view what);

// Calls `take` for each element of a stored JSON list.
template <class Take>
void for_each(std::string_view text, std::string_view column, Take take) {
  try {
    const Json list = Json::parse(text);
    for (const auto& element : list.get_ref<const Json::array_t&>()) take(element);
  } catch (const Json::exception&) {
    corrupt(column);
  }
}

template <class T>
T word(std::optional<T> parsed, std::string_view column) {
  if (!parsed) corrupt(column);
  return *parsed;
}

inline constexpr int kMaxCount =
    1'000'000'000;  // for anything counted; small enough that the sum of two fits
int int_between(std::int64_t value, int least, int most, std::string_view name);

// At most ten years: short enough that sums with times do not overflow.
Millis bounded(Millis d, std::string_view column);

// [["name", "value"], ...]; nullopt for none.
std::optional<std::string> encode_headers(const std::vector<HeaderField>& headers);
std::vector<HeaderField> decode_headers(std::string_view text);

}  // namespace outboxd
