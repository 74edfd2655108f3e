// The manual page of outboxctl, written from its commands and options, so that it has all of them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace outboxd::ctl {

std::string man_page(const CLI::App& app);

}  // namespace outboxd::ctl
