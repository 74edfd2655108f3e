// Puts a backlog of any size straight into a PostgreSQL database, much faster than a daemon would take it in: what
// backlog_seed.h is for SQLite. The one place in the benchmarks that knows the schema (migrations/postgresql).
#pragma once

#include <cstdint>
#include <string>

#include "bench/postgres_server.h"

namespace outboxd::bench {

// A daemon has made the tables and the endpoints, and does not run. Events of stream 0, numbered from 0, one delivery each,
// pending and due; the endpoints get them in turn. On return all of it is on disk, and cleaned up.
void seed_backlog(const PostgresServer& server, const std::string& database, std::int64_t events);

}  // namespace outboxd::bench
