// The body that an endpoint gets instead of the payload: a JSON text in which {{/json/pointer}} (RFC 6901) stands for a
// value of the payload. Pointers only: no code, no loops, no conditions.
//
//   {"text": "Order {{/id}} of {{/customer/name}}", "amount": {{/amount}}, "all": {{}}}
//
// Alone it is the value's JSON, byte for byte. In a string it is the value's text: a string's characters, and the JSON of
// anything else. What is not there is null. `{{` in a string that means itself is written \u007b\u007b. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "common/json_tree.h"

namespace outboxd {

class BodyTemplate {
 public:
  static constexpr std::size_t kMaxText = std::size_t{16} << 10, kMaxPlaceholders = 64;

  // The error says what is wrong, and where.
  static tl::expected<BodyTemplate, std::string> parse(std::string_view text);

  // Null: the payload is no JSON, so nothing is there. Always JSON; at most `max_bytes`, or nullopt.
  std::optional<std::string> render(const JsonTree* payload, std::size_t max_bytes) const;

  const std::string& text() const { return text_; }  // as it was given
  bool operator==(const BodyTemplate& other) const { return text_ == other.text_; }

 private:
  struct Part {
    std::string literal;  // goes before the value
    JsonPointer pointer;
    bool in_string = false;
  };
  class Reader;

  std::string text_;
  std::vector<Part> parts_;
  std::string tail_;
};

}  // namespace outboxd
