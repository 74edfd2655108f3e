// `endpoint resume` and `endpoint test`: getting an endpoint to work again.
#pragma once

#include "ctl/commands.h"

namespace outboxd::ctl {

void add_endpoint_resume(CLI::App& group, Session& session);
void add_endpoint_test(CLI::App& group, Session& session);

}  // namespace outboxd::ctl
