#include "common/endpoint.h"

#include <algorithm>

#include "common/enum_names.h"
#include "common/text.h"

namespace outboxd {
namespace {
constexpr std::array<std::string_view, 3> kStates = {"active", "paused", "disabled"};
constexpr std::array<std::string_view, 3> kFormats = {"raw", "standard", "cloudevents"};
constexpr std::array<std::string_view, 3> kOrderings = {"none", "key", "endpoint"};
constexpr std::array<std::string_view, 2> kOnFailures = {"block", "skip"};
static_assert(kStates.size() == static_cast<std::size_t>(EndpointState::kDisabled) + 1);
static_assert(kFormats.size() == static_cast<std::size_t>(PayloadFormat::kCloudEvents) + 1);
static_assert(kOrderings.size() == static_cast<std::size_t>(Ordering::kEndpoint) + 1);
static_assert(kOnFailures.size() == static_cast<std::size_t>(OnFailureInOrder::kSkip) + 1);

struct RateUnit {
  std::string_view name;
  Millis per;
};
constexpr std::array kRateUnits = {
    RateUnit{"s", std::chrono::seconds(1)},
    RateUnit{"m", std::chrono::minutes(1)},
    RateUnit{"h", std::chrono::hours(1)},
    RateUnit{"d", std::chrono::days(1)},
};
}  // namespace

std::string_view to_string(EndpointState state) {
  return name_of(kStates, state);
}
std::string_view to_string(PayloadFormat format) {
  return name_of(kFormats, format);
}
std::string_view to_string(Ordering ordering) {
  return name_of(kOrderings, ordering);
}
std::string_view to_string(OnFailureInOrder on_failure) {
  return name_of(kOnFailures, on_failure);
}
std::optional<EndpointState> parse_endpoint_state(std::string_view text) {
  return enum_of<EndpointState>(kStates, text);
}
std::optional<PayloadFormat> parse_payload_format(std::string_view text) {
  return enum_of<PayloadFormat>(kFormats, text);
}

std::optional<Ordering> parse_ordering(std::string_view text) {
  return enum_of<Ordering>(kOrderings, text);
}
std::optional<OnFailureInOrder> parse_on_failure_in_order(std::string_view text) {
  return enum_of<OnFailureInOrder>(kOnFailures, text);
}

std::string to_string(const RateLimit& limit) {
  const auto unit = std::find_if(kRateUnits.begin(), kRateUnits.end(),
                                 [&](const RateUnit& u) { return u.per == limit.per; });
  return std::to_string(limit.count) + '/' +
         (unit == kRateUnits.end() ? format_duration(limit.per) : std::string(unit->name));
}

std::optional<RateLimit> parse_rate_limit(std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto count = parse_int(text.substr(0, slash));
  if (!count || *count < 1 || *count > kMaxRate || slash == text.size()) return std::nullopt;
  const auto unit = std::find_if(kRateUnits.begin(), kRateUnits.end(),
                                 [&](const RateUnit& u) { return u.name == text.substr(slash + 1); });
  if (unit == kRateUnits.end()) return std::nullopt;
  return RateLimit{static_cast<int>(*count), unit->per};
}

std::optional<std::string> sequence_key_of(Ordering ordering,
                                           const std::optional<std::string>& ordering_key) {
  switch (ordering) {
    case Ordering::kNone:
      break;
    case Ordering::kKey:
      return ordering_key;
    case Ordering::kEndpoint:
      return "";
  }
  return std::nullopt;
}

bool same_receiver(const Endpoint& a, const Endpoint& b) {
  return a.url == b.url && a.secrets == b.secrets && a.headers == b.headers && a.format == b.format &&
         a.tls == b.tls && a.auth == b.auth && a.signatures == b.signatures &&
         a.body_template == b.body_template && a.content_type == b.content_type;
}

bool wants(const Endpoint& endpoint, std::string_view tenant, std::string_view type) {
  return endpoint.tenant == tenant &&
         std::any_of(endpoint.types.begin(), endpoint.types.end(),
                     [type](const std::string& pattern) { return type_matches(pattern, type); });
}

}  // namespace outboxd
