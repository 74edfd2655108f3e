// What `endpoint resume` and `endpoint test` tell beyond the figures: what held the endpoint, what its answer means, and
// what to do next. Pure.
#pragma once

#include <string>

#include "ctl/output.h"

namespace outboxd::ctl {

// What held the endpoint, as the API showed it before it was resumed, and what happens now. `pending`: how many deliveries
// wait for it.
std::string resumed_text(const std::string& name, const Json& before, const std::string& pending, Time now);

// An attempt as fields: what came back, from where, and how long each part took.
Fields attempt_fields(const Json& attempt);
// One sentence on what it means for the endpoint as it is, and the next useful command.
std::string attempt_advice(const std::string& name, const Json& endpoint, const Json& attempt);

}  // namespace outboxd::ctl
