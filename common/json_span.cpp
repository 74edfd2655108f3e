#include "common/json_span.h"

#include <array>
#include <nlohmann/json.hpp>

#include "common/text.h"

namespace outboxd {
namespace {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
constexpr bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

// Bytes that a string may hold as they are, without further checks.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

}  // namespace

bool JsonScanner::fail(std::string_view what) {
  if (!fault_) fault_ = JsonFault{at_, what};
  return false;
}

void JsonScanner::skip_space() {
  while (at_ < text_.size() && is_space(text_[at_])) ++at_;
}

char JsonScanner::peek() {
  skip_space();
  return at_ < text_.size() ? text_[at_] : '\0';
}

bool JsonScanner::finish() {
  skip_space();
  if (fault_) return false;
  return at_ == text_.size() || fail("there is more text after the end of the value");
}

bool JsonScanner::open(char bracket) {
  if (fault_) return false;
  if (peek() != bracket) return fail(bracket == '{' ? "an object is missing" : "an array is missing");
  if (depth_ == kMaxJsonDepth) return fail("nested deeper than 128 levels");
  ++depth_;
  ++at_;
  first_ = true;
  return true;
}

bool JsonScanner::open_object() {
  return open('{');
}
bool JsonScanner::open_array() {
  return open('[');
}

bool JsonScanner::next_in(char closing) {
  if (fault_) return false;
  const char c = peek();
  if (c == closing) {
    ++at_;
    --depth_;
    first_ = false;
    return false;
  }
  if (first_) {
    first_ = false;
    return true;
  }
  if (c != ',') return fail(closing == '}' ? "',' or '}' is missing" : "',' or ']' is missing");
  ++at_;
  return true;
}

bool JsonScanner::next_element() {
  return next_in(']');
}

std::optional<JsonSpan> JsonScanner::next_member() {
  if (!next_in('}')) return std::nullopt;
  if (peek() != '"') {
    fail("a member's name in double quotes is missing");
    return std::nullopt;
  }
  JsonSpan name{JsonKind::kString, {}};
  const std::size_t start = at_;
  if (!scan_string(name.escaped)) return std::nullopt;
  name.text = text_.substr(start, at_ - start);
  if (peek() != ':') {
    fail("':' is missing");
    return std::nullopt;
  }
  ++at_;
  return name;
}

std::optional<JsonSpan> JsonScanner::value() {
  if (fault_) return std::nullopt;
  const char c = peek();
  const std::size_t start = at_;
  JsonSpan span;
  bool good = false;
  switch (c) {
    case '{':
      span.kind = JsonKind::kObject, good = scan_nested(c);
      break;
    case '[':
      span.kind = JsonKind::kArray, good = scan_nested(c);
      break;
    case '"':
      span.kind = JsonKind::kString, good = scan_string(span.escaped);
      break;
    case 't':
      span.kind = JsonKind::kBoolean, good = scan_word("true");
      break;
    case 'f':
      span.kind = JsonKind::kBoolean, good = scan_word("false");
      break;
    case 'n':
      span.kind = JsonKind::kNull, good = scan_word("null");
      break;
    default:
      span.kind = JsonKind::kNumber, good = scan_number();
  }
  if (!good) return std::nullopt;
  first_ = false;
  span.text = text_.substr(start, at_ - start);
  return span;
}

bool JsonScanner::scan_nested(char bracket) {
  if (!open(bracket)) return false;
  if (bracket == '{') {
    while (next_member()) value();
  } else {
    while (next_element()) value();
  }
  return !fault_;
}

bool JsonScanner::scan_string(bool& escaped) {
  ++at_;
  while (at_ < text_.size()) {
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (kPlain[c]) {
      ++at_;
    } else if (c == '"') {
      ++at_;
      return true;
    } else if (c == '\\') {
      escaped = true;
      if (!scan_escape()) return false;
    } else if (c < 0x20) {
      return fail("a control character stands unescaped in a string");
    } else {
      const std::size_t length = utf8_sequence_length(text_.substr(at_, 4));
      if (length == 0) return fail("the text is not UTF-8");
      at_ += length;
    }
  }
  return fail("a string does not end");
}

bool JsonScanner::scan_escape() {
  const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
  if (c == 'u') {
    for (std::size_t i = at_ + 2; i < at_ + 6; ++i) {
      if (i >= text_.size() || !is_hex(text_[i])) return fail("\\u wants four hexadecimal digits");
    }
    at_ += 6;
    return true;
  }
  if (c == '\0' || std::string_view("\"\\/bfnrt").find(c) == std::string_view::npos) {
    return fail("a backslash starts no known escape");
  }
  at_ += 2;
  return true;
}

bool JsonScanner::scan_digits() {
  const std::size_t start = at_;
  while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
  return at_ > start;
}

bool JsonScanner::scan_number() {
  auto next_is = [&](std::string_view any) {
    return at_ < text_.size() && any.find(text_[at_]) != std::string_view::npos;
  };
  if (!next_is("-0123456789")) return fail("a value is missing");
  if (next_is("-")) ++at_;
  if (next_is("0")) {
    ++at_;
    if (next_is("0123456789")) return fail("a number has a leading zero");
  } else if (!scan_digits()) {
    return fail("a number has no digits");
  }
  if (next_is(".")) {
    ++at_;
    if (!scan_digits()) return fail("a number has no digits after its point");
  }
  if (next_is("eE")) {
    ++at_;
    if (next_is("+-")) ++at_;
    if (!scan_digits()) return fail("a number has no digits in its exponent");
  }
  return true;
}

bool JsonScanner::scan_word(std::string_view word) {
  if (!text_.substr(at_).starts_with(word)) return fail("a value is missing");
  at_ += word.size();
  return true;
}

std::optional<JsonFault> json_fault(std::string_view text) {
  JsonScanner scanner(text);
  if (scanner.value()) scanner.finish();
  return scanner.fault();
}

std::optional<std::string> json_string(const JsonSpan& span) {
  if (!span.escaped) return std::string(span.text.substr(1, span.text.size() - 2));
  const auto parsed = nlohmann::json::parse(span.text, nullptr, false);
  if (!parsed.is_string()) return std::nullopt;
  return parsed.get<std::string>();
}

}  // namespace outboxd
