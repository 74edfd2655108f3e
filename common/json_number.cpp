#include "common/json_number.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "common/json_span.h"

namespace outboxd {
namespace {

// 0.`digits` times ten to the power of `exponent`; the first and the last digit are not 0. Zero has no digits.
struct Decimal {
  bool negative = false;
  std::string digits;
  std::int64_t exponent = 0;
};

// Beyond this, exponents are alike: no text is long enough to make up for the difference.
constexpr std::int64_t kMaxExponent = std::numeric_limits<std::int64_t>::max() / 4;

std::int64_t read_exponent(std::string_view text) {
  const bool negative = text.front() == '-';
  if (text.front() == '-' || text.front() == '+') text.remove_prefix(1);
  std::int64_t value = 0;
  for (const char c : text) value = std::min(kMaxExponent, value * 10 + (c - '0'));
  return negative ? -value : value;
}

Decimal read(std::string_view text) {
  Decimal number;
  number.negative = text.front() == '-';
  if (number.negative) text.remove_prefix(1);
  if (const auto e = text.find_first_of("eE"); e != std::string_view::npos) {
    number.exponent = read_exponent(text.substr(e + 1));
    text = text.substr(0, e);
  }
  const auto point = std::min(text.find('.'), text.size());
  number.digits = text.substr(0, point);
  if (point < text.size()) number.digits += text.substr(point + 1);
  number.exponent += static_cast<std::int64_t>(point);
  const auto first = number.digits.find_first_not_of('0');
  if (first == std::string::npos) return {};
  number.digits.erase(0, first);
  number.exponent -= static_cast<std::int64_t>(first);
  number.digits.erase(number.digits.find_last_not_of('0') + 1);
  return number;
}

std::strong_ordering by_size(const Decimal& a, const Decimal& b) {
  if (a.digits.empty() || b.digits.empty()) return a.digits.size() <=> b.digits.size();
  if (a.exponent != b.exponent) return a.exponent <=> b.exponent;
  return a.digits.compare(b.digits) <=> 0;
}

constexpr std::size_t kSurelyKept = 15;  // digits that a double holds

bool is_kept(std::string_view number) {
  if (number.size() <= kSurelyKept && number.find_first_of("eE") == std::string_view::npos) return true;
  const auto read = nlohmann::json::parse(number, nullptr, false);
  return !read.is_discarded() && compare_json_numbers(number, read.dump()) == 0;
}

std::optional<std::string_view> first_changed(JsonScanner& scanner) {
  const char first = scanner.peek();
  if (first == '{') {
    scanner.open_object();
    while (scanner.next_member()) {
      if (const auto changed = first_changed(scanner)) return changed;
    }
    return std::nullopt;
  }
  if (first == '[') {
    scanner.open_array();
    while (scanner.next_element()) {
      if (const auto changed = first_changed(scanner)) return changed;
    }
    return std::nullopt;
  }
  const auto value = scanner.value();
  if (!value || value->kind != JsonKind::kNumber || is_kept(value->text)) return std::nullopt;
  return value->text;
}

}  // namespace

std::optional<std::string_view> first_changed_number(std::string_view json) {
  JsonScanner scanner(json);
  return first_changed(scanner);
}

std::strong_ordering compare_json_numbers(std::string_view a, std::string_view b) {
  const Decimal x = read(a), y = read(b);
  if (x.negative != y.negative)
    return x.negative ? std::strong_ordering::less : std::strong_ordering::greater;
  return x.negative ? by_size(y, x) : by_size(x, y);
}

}  // namespace outboxd
