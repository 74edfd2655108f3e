// The configuration as the daemon would read it, for commands that work on this machine without the daemon.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "config/config.h"
#include "ctl/session.h"

namespace outboxd::ctl {

void add_config_option(CLI::App& command, std::optional<std::string>& file);
config::Sources configuration_sources(const std::optional<std::string>& file);
// Prints a line for each error and throws Failure (configuration) if there is any.
config::Loaded load_configuration(const Session& session, const std::optional<std::string>& file);

}  // namespace outboxd::ctl
