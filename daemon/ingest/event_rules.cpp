#include "ingest/event_rules.h"

#include <algorithm>
#include <vector>

#include "common/event.h"
#include "common/text.h"
#include "common/words.h"

namespace outboxd {

std::string_view why_tenant_refused(std::string_view tenant) {
  if (!is_tenant(tenant)) return "must be at most 128 of A-Z a-z 0-9 _ . : -";
  return tenant == kOpsTenant ? "is reserved for events of outboxd itself" : "";
}

bool is_printable(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_sequence_length(text.substr(0, 4));
    if (length == 0) return false;
    const auto lead = static_cast<unsigned char>(text[0]);
    if (lead < 0x20 || lead == 0x7F) return false;
    if (lead == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool is_key(std::string_view text) {
  return !text.empty() && text.size() <= kMaxKeyLength && is_printable(text);
}

std::optional<std::string> why_type_refused(std::string_view type, std::span<const std::string> patterns) {
  constexpr std::string_view kOwn = "outboxd.";
  const auto matches = [type](const std::string& pattern) { return type_matches(pattern, type); };
  if (type.starts_with(kOwn) || std::ranges::any_of(patterns, matches)) return std::nullopt;
  std::vector<std::string_view> known;
  known.reserve(patterns.size());
  for (const std::string& pattern : patterns) {
    if (is_event_type(pattern)) known.emplace_back(pattern);
  }
  return in_quotes(type) + " is none of [ingest] event_types" + did_you_mean(type, known);
}

}  // namespace outboxd
