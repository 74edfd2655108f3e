// Names of enumerators: one table, in the order of the enumerators, for both directions.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace outboxd {

template <class Enum, std::size_t N>
constexpr std::string_view name_of(const std::array<std::string_view, N>& names, Enum value) {
  return names.at(static_cast<std::size_t>(value));
}

template <class Enum, std::size_t N>
constexpr std::optional<Enum> enum_of(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

}  // namespace outboxd
