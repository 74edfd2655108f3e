#include "common/waiting.h"

#include "common/enum_names.h"

namespace outboxd {
namespace {
constexpr std::array<std::string_view, kWaitingFors> kNames = {
    "due", "slot", "breaker", "retry_after", "rate_limit", "order", "paused", "disabled"};
static_assert(kWaitingFors == static_cast<int>(WaitingFor::kDisabled) + 1);
}  // namespace

std::string_view to_string(WaitingFor what) {
  return name_of(kNames, what);
}
std::optional<WaitingFor> parse_waiting_for(std::string_view text) {
  return enum_of<WaitingFor>(kNames, text);
}

}  // namespace outboxd
