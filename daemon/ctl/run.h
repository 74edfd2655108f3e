// outboxctl: the command line of operators and producers, a client of the HTTP API. Only `db` and `doctor` touch the
// database file, because they must work without a daemon, and only through DatabaseTools. Scripts rely on its commands,
// formats and exit statuses (docs/reference.md).
#pragma once

#include "ctl/database_tools.h"

namespace outboxd::ctl {

// The whole program. Returns the exit status (failure.h).
int run(int argc, char** argv, const DatabaseTools& tools);

}  // namespace outboxd::ctl
