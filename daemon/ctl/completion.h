// What may stand next on a line of outboxctl, as its commands and options have it: for the shells' completion. Pure.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace outboxd::ctl {

// What a line may have at this command: its options and those that it leaves to its parents ("--state"), and its subcommands.
std::vector<std::string> options_of(const CLI::App& app);
std::vector<std::string> subcommands_of(const CLI::App& app);

using EndpointNames = std::function<std::vector<std::string>()>;

// What the last of `words` may become; the words before it stand behind "outboxctl". `endpoint_names` is asked only when an
// endpoint may stand there.
std::vector<std::string> complete(const CLI::App& app, std::span<const std::string> words,
                                  const EndpointNames& endpoint_names);

}  // namespace outboxd::ctl
