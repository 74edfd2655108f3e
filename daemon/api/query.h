// The query parameters of one request, read strictly: unknown, repeated and unreadable ones are refused, and all of
// them are named in one answer.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/exchange.h"
#include "common/time.h"
#include "common/words.h"
#include "store/store.h"

namespace outboxd::api {

inline constexpr int kDefaultPageLimit = 50;
inline constexpr int kMaxPageLimit = 250;
inline constexpr std::size_t kMaxParameterLength = 512;

// kForbidden: the caller is of one tenant, and names another at `pointer`.
Problem other_tenant(const Request& request, std::string_view named, std::string pointer);

class Query {
 public:
  // `now` is what "1h" (ago) counts from.
  Query(const Request& request, Time now) : request_(request), now_(now) {}

  std::optional<std::string> text(std::string_view name);
  std::optional<Time> time(std::string_view name);  // RFC 3339, or a duration: that long ago
  // `tenant`. A caller of one tenant gets that one without asking, and is refused with 403 when he asks for another.
  std::optional<std::string> tenant();
  const Request& request() const { return request_; }
  bool flag(std::string_view name, bool otherwise = false);  // "true" or "false"; `otherwise` when absent
  Page page();                                               // limit and cursor

  // A parameter that `parse` (text to optional) understands; `expected` finishes the sentence "must be …".
  template <class Parse>
  auto parsed(std::string_view name, Parse parse, std::string_view expected)
      -> decltype(parse(std::string_view())) {
    const auto value = text(name);
    if (!value) return std::nullopt;
    auto result = parse(std::string_view(*value));
    if (!result) refuse(name, "must be " + std::string(expected) + "; got " + in_quotes(*value));
    return result;
  }
  // A parameter that is one of a few words, those that `parse` knows.
  template <class Parse>
  auto word(std::string_view name, Parse parse, std::initializer_list<std::string_view> words)
      -> decltype(parse(std::string_view())) {
    const auto value = text(name);
    if (!value) return std::nullopt;
    auto result = parse(std::string_view(*value));
    if (!result)
      refuse(name, "must be " + one_of(words) + "; got " + in_quotes(*value) + did_you_mean(*value, words));
    return result;
  }
  template <class Id>
  std::optional<Id> id(std::string_view name) {
    const std::string some = Id{}.to_string();
    return parsed(name, &Id::parse, "an id: " + some.substr(0, some.find('_') + 1) + " and 32 hex digits");
  }

  void refuse(std::string_view name, std::string detail);
  bool has(std::string_view name) const { return request_.query.contains(std::string(name)); }
  // Names everything that was refused; call it once all parameters have been read.
  std::optional<Problem> refusal() const;

 private:
  const Request& request_;
  Time now_;
  std::vector<FieldError> errors_;
  std::optional<Problem> forbidden_;
};

}  // namespace outboxd::api
