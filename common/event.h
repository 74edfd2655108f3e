// An event: something that happened. Immutable once accepted.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/id.h"
#include "common/time.h"

namespace outboxd {

struct HeaderField {
  std::string name;
  std::string value;
  bool operator==(const HeaderField&) const = default;
};

inline constexpr int kDefaultPriority = 5;  // 0 to 9, a higher one goes first within one endpoint
inline constexpr std::size_t kMaxEventTypeLength = 128;
inline constexpr std::size_t kMaxTenantLength = 128;
inline constexpr std::size_t kMaxKeyLength = 256;  // ordering_key, idempotency_key
inline constexpr std::size_t kMaxHeaderNameLength = 128;
inline constexpr std::size_t kMaxHeaderValueLength = 4096;
inline constexpr std::size_t kMaxExtraHeaders = 32;
inline constexpr std::size_t kMaxExtraHeaderBytes = 8192;  // names and values together

// The tenant of outboxd's own events: an endpoint may use it, a producer's event may not.
inline constexpr std::string_view kOpsTenant = "_ops";

struct Event {
  EventSeq seq = 0;  // 0 until the store has given one
  EventId id;
  std::string tenant;
  std::string type;
  std::string payload;  // exact bytes as given
  std::string content_type = "application/json";
  std::optional<std::string> ordering_key;
  int priority = kDefaultPriority;
  std::vector<HeaderField> headers;  // for the subscriber, validated
  std::optional<std::string> traceparent;
  // A JSON object: the context attributes and extensions of the CloudEvent that it came as (common/cloud_event.h), all but
  // the data and its datacontenttype. Absent: it came as something else.
  std::optional<std::string> cloud_event;
  Time created_at{};
  std::optional<Time> deliver_at;  // no attempt before this time
  std::optional<Time> expires_at;  // from this time on it is dead with reason `expired`
  // Known in memory only, not stored. json_checked: the payload was found to be JSON if content_type says so. damaged:
  // the event no longer matches its checksum (event_checksum.h), so nothing of it is sent. erased: nor is anything of one
  // whose payload an operator has erased.
  bool json_checked = false;
  bool damaged = false;
  bool erased = false;
};

// The earliest time of an attempt, before any retry schedule is applied.
inline Time not_before(const Event& e) {
  return e.deliver_at.value_or(e.created_at);
}

// Does this media type promise JSON ("application/json", "…+json", whatever its parameters and case)?
bool is_json_type(std::string_view content_type);

// Is `tenant` of the form [A-Za-z0-9_.:-]{0,128}?
bool is_tenant(std::string_view tenant);

// Is `type` of the form [A-Za-z0-9_.-]{1,128}, in non-empty segments separated by dots?
bool is_event_type(std::string_view type);

// Is this pattern acceptable ("order.paid", "order.*", "order.**", "**"), and does it match?
// `*` stands for exactly one segment and `**` for one or more, each as the last segment.
bool is_type_pattern(std::string_view pattern);
bool type_matches(std::string_view pattern, std::string_view type);

// A W3C trace context header that may be passed on: version 00, lower-case hex, neither id all zeros.
bool is_traceparent(std::string_view text);

// Why a header may not be sent to a subscriber, or nullopt if it may: RFC 9110 token and field-value syntax
// (no CR, LF, NUL, obs-text; not empty), not hop-by-hop, not one that outboxd or
// HTTP itself sets (host, content-type, user-agent, webhook-*, outboxd-*, ...).
std::optional<std::string> why_header_refused(std::string_view name, std::string_view value);

}  // namespace outboxd
