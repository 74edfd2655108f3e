// outboxd's command line, the last source of its configuration. It is here, and not in main, because outboxctl writes
// the daemon's manual page from it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "config/config.h"

namespace outboxd::config {

struct Flags {
  std::string file;
  std::vector<std::string> settings;  // "section.key=value"
  bool check_config = false;
  bool migrate = false;
};

void add_flags(CLI::App& app, Flags& flags);
// The file, the environment and the flags. Throws CLI::ValidationError for a --set without "=".
Sources sources_of(const Flags& flags);

}  // namespace outboxd::config
