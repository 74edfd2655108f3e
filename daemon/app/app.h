// The one place that builds the concrete parts of outboxd and wires them: what starts in which order, and
// what stops.
//
//   threads: main (signals, watchdog, disk floor), api (HTTP server), api workers, writer (group commit), outbox
//   (watcher),
//            backlog (reads for lanes), delivery (scheduler and sender)
#pragma once

#include "config/config.h"

namespace outboxd {

// With the signals held (process.h). Serves until SIGTERM or SIGINT; SIGHUP reloads through `sources`. The process's exit status. Throws
// StoreError, and std::runtime_error with a message for the user when a listener or a file is not to be
// had.
int serve(const config::Config& config, const config::Sources& sources);

}  // namespace outboxd
