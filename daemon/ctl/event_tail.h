// `event tail`: events as they are accepted.
#pragma once

#include <CLI/CLI.hpp>

#include "ctl/session.h"

namespace outboxd::ctl {

void add_event_tail(CLI::App& event_group, Session& session);

}  // namespace outboxd::ctl
