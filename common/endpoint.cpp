#include "common/endpoint.h"

#include <algorithm>

#include "common/enum_names.h"

namespace outboxd {
namespace {
constexpr std::array<std::string_view, 3> kStates = {"active", "paused", "disabled"};
constexpr std::array<std::string_view, 3> kFormats = {"raw", "standard", "cloudevents"};
static_assert(kStates.size() == static_cast<std::size_t>(EndpointState::kDisabled) + 1);
static_assert(kFormats.size() == static_cast<std::size_t>(PayloadFormat::kCloudEvents) + 1);
}  // namespace

std::string_view to_string(EndpointState state) {
  return name_of(kStates, state);
}
std::string_view to_string(PayloadFormat format) {
  return name_of(kFormats, format);
}
std::optional<EndpointState> parse_endpoint_state(std::string_view text) {
  return enum_of<EndpointState>(kStates, text);
}
std::optional<PayloadFormat> parse_payload_format(std::string_view text) {
  return enum_of<PayloadFormat>(kFormats, text);
}

bool wants(const Endpoint& endpoint, std::string_view tenant, std::string_view type) {
  return endpoint.tenant == tenant &&
         std::any_of(endpoint.types.begin(), endpoint.types.end(),
                     [type](const std::string& pattern) { return type_matches(pattern, type); });
}

}  // namespace outboxd
