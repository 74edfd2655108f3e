#include "common/payload_filter.h"

#include <algorithm>
#include <array>
#include <compare>
#include <set>
#include <utility>

#include "common/enum_names.h"
#include "common/json_number.h"
#include "common/text.h"
#include "common/words.h"

namespace outboxd {
namespace {

constexpr std::array<std::string_view, 9> kOperators = {"eq",  "ne", "lt",     "lte",   "gt",
                                                        "gte", "in", "exists", "prefix"};
constexpr std::string_view kScalar = "a string, a number, true, false or null";
constexpr std::size_t kMaxErrors = 16;
constexpr std::size_t kMaxPointer = 512;  // bytes

bool is_scalar(JsonKind kind) {
  return kind != JsonKind::kObject && kind != JsonKind::kArray;
}

// Absent: neither is less.
std::optional<std::strong_ordering> compare(JsonKind a_kind, std::string_view a, JsonKind b_kind,
                                            std::string_view b) {
  if (a_kind != b_kind) return std::nullopt;
  if (a_kind == JsonKind::kNumber) return compare_json_numbers(a, b);
  if (a_kind == JsonKind::kString) return a.compare(b) <=> 0;
  return std::nullopt;
}

}  // namespace

// Reads the text of a filter, and notes every error.
class PayloadFilter::Reader {
 public:
  Reader(std::string_view text, std::string_view at) : scanner_(text), at_(at) { filter_.text_ = text; }

  tl::expected<PayloadFilter, std::vector<FieldError>> read() {
    if (filter_.text_.size() > kMaxText) {
      refuse(at_, "must have at most " + std::to_string(kMaxText) + " bytes");
    } else if (const auto fault = json_fault(filter_.text_)) {
      refuse(at_, "must be JSON: " + std::string(fault->what));
    } else if (scanner_.peek() != '{') {
      refuse(at_, "must be an object of JSON Pointers, like {\"/amount\": {\"gte\": 100}}");
    } else {
      read_conditions();
    }
    if (!errors_.empty()) return tl::unexpected(std::move(errors_));
    return std::move(filter_);
  }

 private:
  void refuse(const std::string& at, std::string detail) {
    if (errors_.size() < kMaxErrors) errors_.push_back({at, std::move(detail)});
  }

  void read_conditions() {
    std::set<std::string, std::less<>> seen;
    scanner_.open_object();
    while (const auto name = scanner_.next_member()) {
      const auto pointer = json_string(*name);
      const JsonSpan wanted = *scanner_.value();
      if (!pointer) {
        refuse(at_, "has a member whose name has no UTF-8 form");
        continue;
      }
      const std::string at = at_ + pointer_to(*pointer);
      if (!seen.insert(*pointer).second) refuse(at, "is given twice: put its conditions into one object");
      const auto steps = parse_json_pointer(*pointer);
      if (!steps || pointer->size() > kMaxPointer) {
        refuse(at, "must be a JSON Pointer into the payload, like /customer/vip (RFC 6901), of at most " +
                       std::to_string(kMaxPointer) + " bytes");
        continue;
      }
      read_condition(
          at, {.pointer_text = *pointer, .pointer = *steps, .op = Operator::kEq, .values = {}, .wanted = {}},
          wanted);
    }
    if (filter_.conditions_.size() > kMaxConditions)
      refuse(at_, "must have at most " + std::to_string(kMaxConditions) + " conditions");
  }

  void read_condition(const std::string& at, Condition condition, const JsonSpan& wanted) {
    if (wanted.kind != JsonKind::kObject) return add(at, std::move(condition), wanted);
    JsonScanner operators(wanted.text);
    operators.open_object();
    std::set<std::string, std::less<>> seen;
    while (const auto name = operators.next_member()) {
      const std::string word = json_string(*name).value_or("?");
      const JsonSpan operand = *operators.value();
      const std::string its = at + pointer_to(word);
      const auto op = enum_of<Operator>(kOperators, word);
      if (!op) {
        refuse(its, "is no condition: there are " + one_of(kOperators) + did_you_mean(word, kOperators));
      } else if (!seen.insert(word).second) {
        refuse(its, "is given twice");
      } else {
        condition.op = *op;
        add(its, condition, operand);
      }
    }
    if (seen.empty() && errors_.empty()) refuse(at, "has no condition: there are " + one_of(kOperators));
  }

  void add(const std::string& at, Condition condition, const JsonSpan& operand) {
    switch (condition.op) {
      case Operator::kIn:
        if (!read_values(at, condition, operand)) return;
        break;
      case Operator::kExists:
        if (operand.kind != JsonKind::kBoolean) return refuse(at, "must be true or false");
        condition.values.push_back({operand.kind, std::string(operand.text)});
        break;
      case Operator::kPrefix:
        if (operand.kind != JsonKind::kString) return refuse(at, "must be a string");
        if (!read_value(at, condition, operand)) return;
        break;
      case Operator::kLt:
      case Operator::kLte:
      case Operator::kGt:
      case Operator::kGte:
        if (operand.kind != JsonKind::kNumber && operand.kind != JsonKind::kString)
          return refuse(at, "must be a number or a string: nothing else has an order");
        if (!read_value(at, condition, operand)) return;
        break;
      case Operator::kEq:
      case Operator::kNe:
        if (!read_value(at, condition, operand)) return;
        break;
    }
    condition.wanted = operand.text;
    filter_.conditions_.push_back(std::move(condition));
  }

  bool read_value(const std::string& at, Condition& condition, const JsonSpan& operand) {
    auto value = is_scalar(operand.kind) ? value_of(operand) : std::nullopt;
    if (!value) {
      refuse(at, is_scalar(operand.kind) ? "has no UTF-8 form" : "must be " + std::string(kScalar));
      return false;
    }
    condition.values.push_back(std::move(*value));
    return true;
  }

  bool read_values(const std::string& at, Condition& condition, const JsonSpan& operand) {
    if (operand.kind != JsonKind::kArray) {
      refuse(at, "must be an array of values");
      return false;
    }
    JsonScanner values(operand.text);
    values.open_array();
    bool good = true;
    for (std::size_t i = 0; values.next_element(); ++i)
      good = read_value(at + pointer_to(std::to_string(i)), condition, *values.value()) && good;
    if (!good) return false;
    if (condition.values.empty() || condition.values.size() > kMaxValues) {
      refuse(at, "must have 1 to " + std::to_string(kMaxValues) + " values");
      return false;
    }
    return true;
  }

  JsonScanner scanner_;
  const std::string at_;
  PayloadFilter filter_;
  std::vector<FieldError> errors_;
};

tl::expected<PayloadFilter, std::vector<FieldError>> PayloadFilter::parse(std::string_view text,
                                                                          std::string_view at) {
  return Reader(text, at).read();
}

// nullopt: a string without a UTF-8 form, which equals nothing.
std::optional<PayloadFilter::Value> PayloadFilter::value_of(const JsonSpan& span) {
  if (span.kind != JsonKind::kString) return Value{span.kind, std::string(span.text)};
  auto text = json_string(span);
  if (!text) return std::nullopt;
  return Value{span.kind, std::move(*text)};
}

bool PayloadFilter::holds(const Condition& condition, const JsonSpan* found) {
  if (condition.op == Operator::kExists)
    return (found != nullptr) == (condition.values.front().text == "true");
  if (found == nullptr) return false;
  const auto value = value_of(*found);
  const auto equals = [&](const Value& wanted) {
    if (!value || value->kind != wanted.kind) return false;
    return wanted.kind == JsonKind::kNumber ? std::is_eq(compare_json_numbers(value->text, wanted.text))
                                            : value->text == wanted.text;
  };
  const Value& wanted = condition.values.front();
  const auto order = value ? compare(value->kind, value->text, wanted.kind, wanted.text) : std::nullopt;
  switch (condition.op) {
    case Operator::kEq:
      return equals(wanted);
    case Operator::kNe:
      return !equals(wanted);
    case Operator::kLt:
      return order && std::is_lt(*order);
    case Operator::kLte:
      return order && std::is_lteq(*order);
    case Operator::kGt:
      return order && std::is_gt(*order);
    case Operator::kGte:
      return order && std::is_gteq(*order);
    case Operator::kIn:
      return std::ranges::any_of(condition.values, equals);
    case Operator::kPrefix:
      return value && value->kind == JsonKind::kString && value->text.starts_with(wanted.text);
    case Operator::kExists:
      break;
  }
  return false;
}

bool PayloadFilter::holds(const JsonTree& payload) const {
  return std::ranges::all_of(conditions_,
                             [&](const Condition& c) { return holds(c, payload.find(c.pointer)); });
}

std::vector<PayloadFilter::Outcome> PayloadFilter::explain(const JsonTree& payload) const {
  std::vector<Outcome> outcomes;
  outcomes.reserve(conditions_.size());
  for (const Condition& c : conditions_) {
    const JsonSpan* const found = payload.find(c.pointer);
    outcomes.push_back({.pointer = c.pointer_text,
                        .condition = std::string(name_of(kOperators, c.op)),
                        .wanted = c.wanted,
                        .found = found != nullptr ? std::optional(std::string(found->text)) : std::nullopt,
                        .holds = holds(c, found)});
  }
  return outcomes;
}

}  // namespace outboxd
