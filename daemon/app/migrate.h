// `outboxd migrate`: brings the database to this binary's schema and exits. A file only while no daemon
// serves it, a database on a server beside those that do.
#pragma once

#include "config/config.h"

namespace outboxd {

int migrate(const config::Config& config);  // throws StoreError

}  // namespace outboxd
