// Which events an endpoint wants, by what is in them: conditions on values of the payload, all of which must hold.
//
//   {"/amount": {"gte": 100}, "/currency": {"in": ["EUR", "CHF"]}, "/customer/vip": true}
//
// A member's name is a JSON Pointer (RFC 6901) into the payload, its value what is asked of what is there: an object of
// operators, or a value to be equal to. Numbers are compared exactly, as what they mean, strings byte by byte; two values
// of different kinds are not equal, and neither is less. Of what is not there nothing holds but {"exists": false}. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json_tree.h"
#include "common/problem.h"

namespace outboxd {

class PayloadFilter {
 public:
  static constexpr std::size_t kMaxText = std::size_t{16} << 10, kMaxConditions = 64,
                               kMaxValues = 256;  // values of one `in`

  // What is wrong with it, field by field, below `at` (a JSON Pointer, such as "/filter").
  static tl::expected<PayloadFilter, std::vector<FieldError>> parse(std::string_view text,
                                                                    std::string_view at);

  bool holds(const JsonTree& payload) const;

  struct Outcome {                           // of one condition
    std::string pointer, condition, wanted;  // "/amount", "gte", "100"; wanted as JSON
    std::optional<std::string> found;        // as JSON; absent: nothing is there
    bool holds = false;
  };
  std::vector<Outcome> explain(const JsonTree& payload) const;  // every condition

  const std::string& text() const { return text_; }  // as it was given
  bool operator==(const PayloadFilter& other) const { return text_ == other.text_; }

 private:
  enum class Operator { kEq, kNe, kLt, kLte, kGt, kGte, kIn, kExists, kPrefix };
  struct Value {
    JsonKind kind = JsonKind::kNull;
    std::string text;  // a string's characters, otherwise the JSON
  };
  struct Condition {
    std::string pointer_text;
    JsonPointer pointer;
    Operator op = Operator::kEq;
    std::vector<Value> values;  // one, but for `in`
    std::string wanted;         // as it was given
  };
  class Reader;

  static std::optional<Value> value_of(const JsonSpan& span);
  static bool holds(const Condition& condition, const JsonSpan* found);

  std::string text_;
  std::vector<Condition> conditions_;
};

}  // namespace outboxd
