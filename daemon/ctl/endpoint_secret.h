// `endpoint secret`: the secrets that an endpoint's requests are signed with.
#pragma once

#include <CLI/CLI.hpp>

#include "ctl/session.h"

namespace outboxd::ctl {

void add_endpoint_secret(CLI::App& endpoint_group, Session& session);

}  // namespace outboxd::ctl
