// outboxctl: the operator's and the producer's command line, a client of the HTTP API and of nothing else in
// the daemon. It never opens the database. CONTRACT.md section 4 fixes its commands, formats and exit
// statuses.
#pragma once

namespace outboxd::ctl {

// The whole program. The answer is the exit status (failure.h).
int run(int argc, char** argv);

}  // namespace outboxd::ctl
