// Numbers of JSON texts, compared as what they mean: 1.10 is 1.1, 1e2 is 100, and 12345678901234567890 is not its neighbour,
// which a double cannot tell apart. Pure.
#pragma once

#include <compare>
#include <optional>
#include <string_view>

namespace outboxd {

// Both are numbers as RFC 8259 writes them. Takes as long as they have digits, whatever their exponents say.
std::strong_ordering compare_json_numbers(std::string_view a, std::string_view b);

// The first number of a JSON text that would be another one once read into a double or an integer of 64 bits, as
// nlohmann's JSON does; nullopt: all stay what they are. `json` is valid.
std::optional<std::string_view> first_changed_number(std::string_view json);

}  // namespace outboxd
