// The manual pages of outboxctl and outboxd, written from their commands and options, so that they have all of them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace outboxd::ctl {

std::string man_page(const CLI::App& app);
std::string daemon_man_page();  // outboxd(8), from its flags and what is told in daemon_page.cpp
std::string man_options(const CLI::App& app);  // an item for each option but --help

}  // namespace outboxd::ctl
