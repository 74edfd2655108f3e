// The one place that builds the concrete parts of outboxd and wires them: what starts in which order, and what stops.
//
//   threads: main (signals, watchdog, disk floor), api (HTTP server), api workers, log, writer (group commit), changes
//   (commits of others), background (SQL outbox, fan-out), backlog (reads for lanes), delivery (scheduler and sender)
#pragma once

#include "config/config.h"

namespace outboxd {

// To be called with the signals held (process.h). Serves until SIGTERM or SIGINT; SIGHUP reloads the configuration from
// `sources`. Returns the process's exit status. Throws StoreError, and std::runtime_error with a message for the user
// when a listener or a file is not available.
int serve(const config::Loaded& given, const config::Sources& sources);

}  // namespace outboxd
