// What an operator does with the database itself, whether daemons serve it or not. All throw StoreError.
#pragma once

#include <string>
#include <vector>

#include "store/postgresql/postgres_store.h"

namespace outboxd {

struct PostgresSchema {
  int current = 0;  // of the database; 0: it has none yet
  int known = 0;    // to this binary
};
PostgresSchema postgres_schema(const PostgresOptions& options);  // changes nothing
// Makes the schema, or brings it to this binary's; beside running daemons too. Returns the schema it had before.
PostgresSchema migrate_postgres(const PostgresOptions& options);

// Whether a daemon would serve the database: throws with the sentence by which it would refuse to, or would say what it
// waits for. Returns what it would find. Changes nothing.
std::string examine_postgres(const PostgresOptions& options);

// Whether the tables agree with each other and events with their checksums, beside running daemons too: the problems
// found, one line each; empty: all is well. `quick`: what can be told without reading the history.
std::vector<std::string> check_postgres(const PostgresOptions& options, bool quick);

// For a copy that was restored on another server, and that daemons therefore refuse: says that this server is its home now.
// False: it was already.
bool adopt_postgres(const PostgresOptions& options);

}  // namespace outboxd
