// Opening a database: whether it can be served at all, and its schema, which this binary makes or migrates
// (migrations/postgresql).
#pragma once

#include <span>

#include "migrations/embedded.h"
#include "store/postgresql/connection.h"

namespace outboxd::postgresql {

// Throws StoreError, with a sentence that says what to do: kCannotOpen for a server or a pooler that outboxd cannot work
// over. Opens a second connection for a moment.
void check_server(Connection& db, const ConnectionOptions& options);

int newest_version(std::span<const embedded::File> migrations);
int schema_version(Connection& db);  // 0: there is none yet

// Whether prepare_schema() would succeed, as far as reading tells: throws what it would throw. Returns the version.
int check_served_here(Connection& db, std::span<const embedded::File> migrations);

// Makes the schema, or brings it up to date; several daemons may do so at once. Returns the version it had before. Throws
// StoreError: kNewerSchema when it is newer than this binary can work with (the version after its own it can), kCannotOpen
// when it was made on another server: that is a copy, whose webhooks somebody else sends.
int prepare_schema(Connection& db, std::span<const embedded::File> migrations);

}  // namespace outboxd::postgresql
