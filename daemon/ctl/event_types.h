// `event types`: the event types that were seen, and whether anybody wants them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

#include "ctl/session.h"

namespace outboxd::ctl {

void add_event_types(CLI::App& group, Session& session);

// What to say to who sent an event that no endpoint wants.
std::string nobody_wants(std::string_view type);

}  // namespace outboxd::ctl
