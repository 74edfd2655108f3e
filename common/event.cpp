#include "common/event.h"

#include <algorithm>
#include <array>

#include "common/text.h"

namespace outboxd {
namespace {

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool is_segments(std::string_view text) {
  bool in_segment = false;
  for (const char c : text) {
    if (c == '.' ? !in_segment : !is_alphanumeric(c) && c != '_' && c != '-') return false;
    in_segment = c != '.';
  }
  return in_segment;
}

// "order.**" is {"order.", "**"}, "order.paid" is {"order.paid", ""}.
struct Pattern {
  std::string_view prefix;
  std::string_view wildcard;
};

Pattern split(std::string_view pattern) {
  const std::size_t length = pattern.ends_with("**") ? 2 : pattern.ends_with('*') ? 1 : 0;
  const std::size_t at = pattern.size() - length;
  return {pattern.substr(0, at), pattern.substr(at)};
}

// Hop-by-hop (RFC 9110 section 7.6.1 and its predecessors), framing, and what outboxd sets itself.
constexpr std::array<std::string_view, 16> kReservedNames = {
    "accept-encoding", "connection", "content-encoding", "content-length",    "content-type",
    "expect",          "host",       "http2-settings",   "keep-alive",        "te",
    "traceparent",     "tracestate", "trailer",          "transfer-encoding", "upgrade",
    "user-agent"};
constexpr std::array<std::string_view, 3> kReservedPrefixes = {"proxy-", "webhook-", "outboxd-"};

// CGI and WSGI cannot tell an underscore from a hyphen (RFC 3875 4.1.18): a subscriber behind them would take
// webhook_id for webhook-id, and a header "Proxy" for the setting HTTP_PROXY (CVE-2016-5385).
bool is_reserved(std::string lower_name) {
  std::replace(lower_name.begin(), lower_name.end(), '_', '-');
  return lower_name == "proxy" ||
         std::find(kReservedNames.begin(), kReservedNames.end(), lower_name) != kReservedNames.end() ||
         std::any_of(kReservedPrefixes.begin(), kReservedPrefixes.end(),
                     [&](std::string_view prefix) { return lower_name.starts_with(prefix); });
}

}  // namespace

bool is_event_type(std::string_view type) {
  return type.size() <= kMaxEventTypeLength && is_segments(type);
}

bool is_type_pattern(std::string_view pattern) {
  if (pattern.size() > kMaxEventTypeLength) return false;
  const Pattern p = split(pattern);
  if (p.wildcard.empty()) return is_segments(p.prefix);
  return p.prefix.empty() ||
         (p.prefix.ends_with('.') && is_segments(p.prefix.substr(0, p.prefix.size() - 1)));
}

bool type_matches(std::string_view pattern, std::string_view type) {
  const Pattern p = split(pattern);
  if (p.wildcard.empty()) return pattern == type;
  if (!type.starts_with(p.prefix) || type.size() == p.prefix.size()) return false;
  return p.wildcard == "**" || type.find('.', p.prefix.size()) == std::string_view::npos;
}

bool is_json_type(std::string_view content_type) {
  const std::string essence = ascii_lower(content_type.substr(0, content_type.find_first_of("; \t")));
  return essence == "application/json" || essence.ends_with("+json");
}

bool is_tenant(std::string_view tenant) {
  return tenant.size() <= kMaxTenantLength && std::all_of(tenant.begin(), tenant.end(), [](char c) {
           return is_alphanumeric(c) || c == '_' || c == '.' || c == ':' || c == '-';
         });
}

bool is_traceparent(std::string_view text) {
  auto hex = [&](std::size_t at, std::size_t length) {
    const auto part = text.substr(at, length);
    return std::all_of(part.begin(), part.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  };
  auto zero = [&](std::size_t at, std::size_t length) {
    return text.substr(at, length).find_first_not_of('0') == std::string_view::npos;
  };
  return text.size() == 55 && text.starts_with("00-") && text[35] == '-' && text[52] == '-' && hex(3, 32) &&
         hex(36, 16) && hex(53, 2) && !zero(3, 32) && !zero(36, 16);
}

std::optional<std::string> why_header_refused(std::string_view name, std::string_view value) {
  if (name.size() > kMaxHeaderNameLength || !is_token(name)) {
    return "a header's name is 1 to 128 letters, digits or characters of !#$%&'*+-.^_`|~";
  }
  const std::string lower = ascii_lower(name);
  if (is_reserved(lower)) return "the header " + lower + " is set by outboxd or belongs to the connection";
  if (value.empty() || value.size() > kMaxHeaderValueLength) return "a header's value has 1 to 4096 bytes";
  const bool printable =
      std::all_of(value.begin(), value.end(), [](char c) { return c == '\t' || (c >= ' ' && c <= '~'); });
  if (!printable)
    return "a header's value is visible ASCII, spaces and tabs; no line breaks or other control characters";
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  if (blank(value.front()) || blank(value.back()))
    return "a header's value does not begin or end with a space or tab";
  return std::nullopt;
}

}  // namespace outboxd
