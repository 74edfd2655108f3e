#include "ctl/fail_spec.h"

#include "common/event.h"
#include "common/text.h"

namespace outboxd::ctl {
namespace {

std::optional<int> parse_status(std::string_view text) {
  const auto status = parse_int(text);
  if (!status || *status < 200 || *status > 599) return std::nullopt;  // 1xx would not end the exchange
  return static_cast<int>(*status);
}

}  // namespace

std::optional<FailShare> parse_fail_share(std::string_view text) {
  const std::size_t colon = text.find(':');
  const auto status = parse_status(text.substr(0, colon));
  if (!status) return std::nullopt;
  if (colon == std::string_view::npos) return FailShare{*status, 100};
  std::string_view share = text.substr(colon + 1);
  if (!share.ends_with('%')) return std::nullopt;
  share.remove_suffix(1);
  const auto percent = parse_int(share);
  if (!percent || *percent < 0 || *percent > 100) return std::nullopt;
  return FailShare{*status, static_cast<int>(*percent)};
}

std::optional<FailType> parse_fail_type(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view pattern = text.substr(0, colon);
  const auto status =
      colon == std::string_view::npos ? std::optional(500) : parse_status(text.substr(colon + 1));
  if (!status || !is_type_pattern(pattern)) return std::nullopt;
  return FailType{std::string(pattern), *status};
}

FailPlan::FailPlan(std::vector<FailShare> shares, std::vector<FailType> types) : types_(std::move(types)) {
  for (const FailShare& share : shares) {
    shares_.push_back(std::make_unique<Counted>());
    shares_.back()->share = share;
  }
}

std::optional<int> FailPlan::next(std::string_view event_type) {
  for (const FailType& rule : types_) {
    if (type_matches(rule.pattern, event_type)) return rule.status;
  }
  for (const auto& counted : shares_) {
    const std::uint64_t n = counted->seen.fetch_add(1) + 1;
    const auto percent = static_cast<std::uint64_t>(counted->share.percent);
    if (n * percent / 100 != (n - 1) * percent / 100) return counted->share.status;
  }
  return std::nullopt;
}

}  // namespace outboxd::ctl
