#include "ctl/validators.h"

#include <utility>

#include "common/delivery.h"
#include "common/endpoint_url.h"
#include "common/id.h"
#include "common/json.h"
#include "common/text.h"
#include "ctl/input.h"
#include "ctl/whole_id.h"

namespace outboxd::ctl {
namespace {

constexpr std::size_t kMaxReference = 512;  // bytes; what the API takes

// `accepts` decides, `wanted` finishes the sentence "… is no …". The value is shortened, because it ends up in a
// message.
template <class F>
CLI::Validator check(std::string type_name, std::string wanted, F accepts) {
  return CLI::Validator(
      [wanted = std::move(wanted), accepts](std::string& value) -> std::string {
        if (accepts(value)) return {};
        return "\"" + escape_control(std::string_view(value).substr(0, 80)) + "\" is no " + wanted;
      },
      std::move(type_name));
}

// Ends the description of an id, which whole_id() may have to complete.
std::string digits_of_id() {
  return std::to_string(kIdDigits) + " hex digits, or at least the first " + std::to_string(kMinIdDigits) +
         " of them)";
}

CLI::Validator id_check(const std::string& noun, const std::string& prefix) {
  return check("ID", noun + " id (" + prefix + " and " + digits_of_id(),
               [prefix](const std::string& v) { return begins_id(v, prefix); });
}

}  // namespace

CLI::Validator is_duration() {
  return check("DURATION", "duration like 90s, 5m, 2h30m or 7d",
               [](const std::string& v) { return parse_duration(v).has_value(); });
}

CLI::Validator is_time_or_age() {
  return check("TIME", "time like 2026-11-23T15:00:00Z, nor an age like 90s or 7d", [](const std::string& v) {
    return parse_time(v).has_value() || parse_duration(v).has_value();
  });
}

CLI::Validator is_event_type_() {
  return check("TYPE", "event type ([A-Za-z0-9_.-], at most 128, segments between dots)",
               [](const std::string& v) { return is_event_type(v); });
}

CLI::Validator is_patterns() {
  return check("PATTERNS", "list of patterns like order.paid,order.*,invoice.**", [](const std::string& v) {
    for (const std::string& pattern : split_list(v)) {
      if (!is_type_pattern(pattern)) return false;
    }
    return true;
  });
}

CLI::Validator is_header() {
  return CLI::Validator(
      [](std::string& value) -> std::string {
        if (value.find(':') == std::string::npos) return "a header is written name:value";
        const HeaderField field = split_header(value);
        return why_header_refused(field.name, field.value).value_or("");
      },
      "NAME:VALUE");
}

CLI::Validator names_endpoint() {
  return check(kNameOrId, "endpoint's name or id", [](const std::string& v) {
    const bool of_another_kind = EventId::parse(v) || DeliveryId::parse(v) || AttemptId::parse(v);
    return !v.empty() && v.size() <= kMaxReference && escape_control(v) == v && !of_another_kind;
  });
}
CLI::Validator is_event_id() {
  return id_check("event", "evt_");
}
CLI::Validator is_batch_id() {
  return id_check("batch", "bat_");
}
CLI::Validator is_delivery_id() {
  return id_check("delivery", "dlv_");
}

CLI::Validator is_delivery_or_event_id() {
  return check("ID", "id of a delivery (dlv_) or of an event (evt_ and " + digits_of_id(),
               [](const std::string& v) { return begins_id(v, "dlv_") || begins_id(v, "evt_"); });
}

CLI::Validator is_endpoint_url() {
  return CLI::Validator(
      [](std::string& value) -> std::string {
        const auto url = parse_endpoint_url(value);
        return url ? std::string() : escape_control(url.error().detail);
      },
      "URL");
}

CLI::Validator is_json_object() {
  return check("JSON", "JSON object",
               [](const std::string& v) { return Json::parse(v, nullptr, false).is_object(); });
}

CLI::Validator is_retry_schedule() {
  return check("DURATIONS", "list of waits like 0s,5s,5m",
               [](const std::string& v) { return parse_retry_schedule(split_list(v)).has_value(); });
}

CLI::Validator is_rate_limit() {
  return check("RATE", "rate like 100/s, 30/m, 5/h or 1/d, at most 1000000, nor none",
               [](const std::string& v) { return v == "none" || parse_rate_limit(v).has_value(); });
}

CLI::Validator has_length(std::size_t min, std::size_t max) {
  return CLI::Validator(
      [min, max](std::string& value) -> std::string {
        if (value.size() >= min && value.size() <= max) return {};
        return "must be " + std::to_string(min) + " to " + std::to_string(max) + " bytes long";
      },
      "");
}

HeaderField split_header(const std::string& text) {
  const std::size_t colon = text.find(':');
  return {text.substr(0, colon), std::string(trim(std::string_view(text).substr(colon + 1)))};
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    items.emplace_back(trim(std::string_view(text).substr(begin, end - begin)));
    begin = end + 1;
  }
  return items;
}

std::string to_rfc3339(const std::string& time_or_age, Time now) {
  if (const auto age = parse_duration(time_or_age)) return format_time(now - *age);
  return format_time(parse_time(time_or_age).value_or(now));
}

}  // namespace outboxd::ctl
