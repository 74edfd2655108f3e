// `outboxd migrate`: brings the database to this binary's schema and exits. Refuses while a daemon serves it.
#pragma once

#include "config/config.h"

namespace outboxd {

int migrate(const config::Config& config);  // throws StoreError

}  // namespace outboxd
