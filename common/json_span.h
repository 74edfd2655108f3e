// A strict JSON reader (RFC 8259) that yields positions, not values: it checks the text and says which bytes each value
// takes, in one pass and without allocating. It exists because a payload must be delivered byte for byte, and because
// nlohmann's parser refuses valid numbers beyond a double (1e400), skips a byte order mark and treats a NUL as the end
// of its input.
//
// Refused: anything outside the grammar, text that is not UTF-8, nesting beyond kMaxJsonDepth. A lone
// surrogate escape ("\ud800") is within the grammar and passes; json_string() refuses to decode it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace outboxd {

inline constexpr int kMaxJsonDepth = 128;

enum class JsonKind { kObject, kArray, kString, kNumber, kBoolean, kNull };

struct JsonSpan {
  JsonKind kind = JsonKind::kNull;
  std::string_view text;  // the value's bytes, a string's quotes included
  bool escaped = false;   // a string with at least one backslash
};

struct JsonFault {
  std::size_t offset = 0;  // bytes from the start of the text
  std::string_view what;   // "a value is missing"
};

// A cursor. Every call skips white space first. After the first fault every call fails.
//
//   scanner.open_object();
//   while (auto name = scanner.next_member()) use(*name, scanner.value());
//   if (scanner.fault()) ...
class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : text_(text) {}

  // Checks and skips one whole value.
  std::optional<JsonSpan> value();

  // Step into an object or array. next_member() returns a name, with its value next to be read; next_element() is true
  // when a value is next. Both stop at the closing bracket, which they consume, and at a fault.
  bool open_object();
  bool open_array();
  std::optional<JsonSpan> next_member();
  bool next_element();

  char peek();    // the first byte of what comes next; '\0' at the end
  bool finish();  // true if only white space is left; otherwise a fault
  std::size_t offset() const { return at_; }
  const std::optional<JsonFault>& fault() const { return fault_; }

 private:
  void skip_space();
  bool open(char bracket);
  bool next_in(char closing);
  bool scan_string(bool& escaped);
  bool scan_escape();
  bool scan_number();
  bool scan_digits();
  bool scan_word(std::string_view word);
  bool scan_nested(char bracket);
  bool fail(std::string_view what);

  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool first_ = false;  // just inside a bracket: no comma is due
  std::optional<JsonFault> fault_;
};

// Why `text` is not exactly one JSON value; absent: it is. The same check decides on JSON that comes in and on JSON
// that is spliced into what goes out.
std::optional<JsonFault> json_fault(std::string_view text);
inline bool is_json(std::string_view text) {
  return !json_fault(text);
}

// The decoded text of a string span; absent if it has no UTF-8 form (a lone surrogate).
std::optional<std::string> json_string(const JsonSpan& span);

}  // namespace outboxd
