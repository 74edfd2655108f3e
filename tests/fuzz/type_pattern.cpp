// Type patterns, event types, tenants and headers against plain re-readings of their definitions.   pattern, type; or name, value
#include <vector>

#include "common/event.h"
#include "fuzz/target.h"

using namespace outboxd;

namespace {

std::vector<std::string_view> segments(std::string_view text) {
  std::vector<std::string_view> list;
  for (;;) {
    const auto dot = text.find('.');
    list.push_back(text.substr(0, dot));
    if (dot == std::string_view::npos) return list;
    text.remove_prefix(dot + 1);
  }
}

bool is_word(std::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
             text.npos;
}

bool is_type(std::string_view text, bool may_end_in_wildcard) {
  const auto list = segments(text);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const bool wildcard = may_end_in_wildcard && i + 1 == list.size() && (list[i] == "*" || list[i] == "**");
    if (!wildcard && !is_word(list[i])) return false;
  }
  return text.size() <= kMaxEventTypeLength;
}

bool matches(std::string_view pattern, std::string_view type) {
  const auto wanted = segments(pattern), given = segments(type);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (i == given.size()) return false;
    if (wanted[i] == "**") return true;
    if (wanted[i] != "*" && wanted[i] != given[i]) return false;
  }
  return wanted.size() == given.size();
}

}  // namespace

FUZZ_TARGET(input) {
  fuzz::Parts parts(input);
  const auto one = parts.next();
  const auto other = parts.next();
  HOLDS(is_type_pattern(one) == is_type(one, true));
  HOLDS(is_event_type(other) == is_type(other, false));
  if (is_type_pattern(one) && is_event_type(other)) HOLDS(type_matches(one, other) == matches(one, other));
  HOLDS(is_tenant(one) ==
        (one.size() <= kMaxTenantLength &&
         one.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-") ==
             one.npos));
  if (!why_header_refused(one, other)) {
    HOLDS(!one.empty() && one.find_first_of(std::string_view(": \t\r\n\0", 6)) == one.npos);
    HOLDS(!other.empty() && other.find_first_of(std::string_view("\r\n\0", 3)) == other.npos);
  }
}
