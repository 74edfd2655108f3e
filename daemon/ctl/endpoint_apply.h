// `endpoint export` and `endpoint apply`: all endpoints as one file, kept where the rest of a deployment is.
#pragma once

#include "ctl/commands.h"

namespace outboxd::ctl {

void add_endpoint_export(CLI::App& group, Session& session);
void add_endpoint_apply(CLI::App& group, Session& session);

}  // namespace outboxd::ctl
