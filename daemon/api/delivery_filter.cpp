#include "api/delivery_filter.h"

#include "api/endpoint_reference.h"
#include "common/text.h"

namespace outboxd::api {
namespace {

constexpr int kMinStatus = 100, kMaxStatus = 999;

std::optional<std::string> parse_error_filter(std::string_view text) {
  if (text != "any" && !parse_outcome(text)) return std::nullopt;
  return std::string(text);
}

std::optional<int> parse_status(std::string_view text) {
  const auto number = parse_int(text);
  if (!number || *number < kMinStatus || *number > kMaxStatus) return std::nullopt;
  return static_cast<int>(*number);
}

}  // namespace

DeliveryFilter read_delivery_filter(const EndpointDirectory& directory, Query& query) {
  return {
      .state = query.word("state", parse_delivery_state, {"pending", "delivered", "dead", "discarded"}),
      .endpoint = endpoint_parameter(directory, query, "endpoint"),
      .event = query.id<EventId>("event"),
      .tenant = query.tenant(),
      .type = query.text("type"),
      .error = query.word("error", parse_error_filter,
                          {"any", "http_4xx", "http_5xx", "redirect", "timeout", "connect", "dns", "tls",
                           "blocked", "protocol"}),
      .reason = query.word("reason", parse_dead_reason,
                           {"exhausted", "expired", "gone", "blocked", "too_large", "skipped", "damaged"}),
      .status = query.parsed("status", parse_status, "a status from 100 to 999"),
      .since = query.time("since"),
      .until = query.time("until"),
  };
}

}  // namespace outboxd::api
