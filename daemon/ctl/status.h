// `status` and `db info`: what GET /v1/status tells, checked and laid out. Pure.
#pragma once

#include "ctl/output.h"

namespace outboxd::ctl {

// Due deliveries go out at once while all is well, so being this late means trouble.
inline constexpr std::int64_t kOverdueSeconds = 60;
// A daemon that shares the store gives a sign of life every 1.5 s.
inline constexpr std::int64_t kSilentSeconds = 8;

// Why an operator should look, or nullopt when all is well: overdue deliveries or disabled endpoints. Dead letters
// alone are no reason, because they are history.
std::optional<std::string> why_unhealthy(const Json& status);
std::string render_status(const Json& status, const Style& style);
Fields database_fields(const Json& status);

}  // namespace outboxd::ctl
