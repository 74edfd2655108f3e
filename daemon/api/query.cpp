#include "api/query.h"

#include "common/text.h"

namespace outboxd::api {

Problem other_tenant(const Request& request, std::string_view named, std::string pointer) {
  std::string detail = "the token is for tenant " + in_quotes(request.tenant.value_or("")) +
                       " alone, not for " + in_quotes(named);
  return {ProblemCode::kForbidden, detail, {{std::move(pointer), detail}}};
}

std::optional<std::string> Query::text(std::string_view name) {
  const auto it = request_.query.find(std::string(name));
  if (it == request_.query.end()) return std::nullopt;
  if (it->second.size() <= kMaxParameterLength && is_valid_utf8(it->second)) return it->second;
  refuse(name, "must be UTF-8 of at most " + std::to_string(kMaxParameterLength) + " bytes");
  return std::nullopt;
}

std::optional<std::string> Query::tenant() {
  const auto asked = text("tenant");
  if (asked && !request_.may_see(*asked)) forbidden_ = other_tenant(request_, *asked, "tenant");
  return request_.tenant ? request_.tenant : asked;
}

std::optional<Time> Query::time(std::string_view name) {
  const auto parse = [this](std::string_view text) -> std::optional<Time> {
    if (const auto ago = parse_duration(text)) return now_ - *ago;
    return parse_time(text);
  };
  return parsed(name, parse, "a time (RFC 3339) or a duration such as \"1h\" (that long ago)");
}

bool Query::flag(std::string_view name, bool otherwise) {
  const auto parse = [](std::string_view text) -> std::optional<bool> {
    if (text != "true" && text != "false") return std::nullopt;
    return text == "true";
  };
  return parsed(name, parse, "true or false").value_or(otherwise);
}

Page Query::page() {
  const auto parse = [](std::string_view text) -> std::optional<int> {
    const auto number = parse_int(text);
    if (!number || *number < 1 || *number > kMaxPageLimit) return std::nullopt;
    return static_cast<int>(*number);
  };
  return {parsed("limit", parse, "a number from 1 to " + std::to_string(kMaxPageLimit))
              .value_or(kDefaultPageLimit),
          text("cursor").value_or("")};
}

void Query::refuse(std::string_view name, std::string detail) {
  errors_.push_back({std::string(name), std::move(detail)});
}

std::optional<Problem> Query::refusal() const {
  if (forbidden_) return forbidden_;
  if (errors_.empty()) return std::nullopt;
  return Problem{ProblemCode::kInvalidParameter, summary_of(errors_), errors_};
}

}  // namespace outboxd::api
