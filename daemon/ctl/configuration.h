// The daemon's configuration as it would read it, for the commands that work on this machine without it.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "config/config.h"
#include "ctl/session.h"

namespace outboxd::ctl {

void add_config_option(CLI::App& command, std::optional<std::string>& file);
config::Sources configuration_sources(const std::optional<std::string>& file);
// Throws Failure (configuration) after a line for each error.
config::Loaded load_configuration(const Session& session, const std::optional<std::string>& file);

}  // namespace outboxd::ctl
