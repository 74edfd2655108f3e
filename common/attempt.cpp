#include "common/attempt.h"

#include "common/enum_names.h"

namespace outboxd {
namespace {
constexpr std::array<std::string_view, 10> kOutcomes = {
    "success", "http_4xx", "http_5xx", "redirect", "timeout", "connect", "dns", "tls", "blocked", "protocol"};
static_assert(kOutcomes.size() == static_cast<std::size_t>(Outcome::kProtocol) + 1);
}  // namespace

std::string_view to_string(Outcome outcome) {
  return name_of(kOutcomes, outcome);
}
std::optional<Outcome> parse_outcome(std::string_view text) {
  return enum_of<Outcome>(kOutcomes, text);
}

}  // namespace outboxd
