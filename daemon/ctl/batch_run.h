// One act on everything that matches a filter: counted first, asked about, made as a batch of the daemon's, and watched. The
// daemon goes on with it when this program is gone.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "ctl/listing.h"

namespace outboxd::ctl {

struct BatchOptions {
  std::string action;  // of the API: "retry", "replay_missing", ...
  Filters filters;
  std::optional<std::string> rate, note;
  bool yes = false;
  bool dry_run = false;
};
// --yes, --dry-run, --rate, --note
void add_batch_options(CLI::App* command, BatchOptions& options);

// Returns the exit status.
int run_batch(Session& session, const BatchOptions& options);

// Shows how far a batch comes until it has ended or Ctrl-C, which leaves it running. Waits for a daemon that restarts.
int watch_batch(Session& session, const std::string& id);

// "1200 retried, 3 skipped", for a batch as the API shows it.
std::string describe_batch(const Json& batch);

}  // namespace outboxd::ctl
