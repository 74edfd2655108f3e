// Whether what a database holds can all be true (outboxctl db check). Each question is answered as of one moment, in one
// statement, so daemons may go on meanwhile and no snapshot is kept for long.
#pragma once

#include <string>
#include <vector>

#include "store/postgresql/connection.h"

namespace outboxd::postgresql {

// The problems found, each with how many rows have it and the first of them; empty: none. What cannot be read for damage is
// a problem too. `quick`: only questions that need not read the history. REQUIRES: plan_for_whole_tables(db).
std::vector<std::string> check_database(Connection& db, bool quick);

}  // namespace outboxd::postgresql
