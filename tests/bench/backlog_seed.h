// Puts a backlog of any size straight into a database, much faster than the daemon would take it in. The one place
// in the benchmarks that knows the schema (migrations/sqlite).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace outboxd::bench {

struct SeedSpec {
  std::int64_t events = 0;  // one delivery each, pending and due; numbered from 0
  int stream = 0;
  std::string tenant_pattern;  // GLOB: the endpoints of these tenants get them in turn
};
// The daemon has made the database and its endpoints, and does not run. On return everything is in the main
// file and on disk. Throws std::runtime_error.
void seed_backlog(const std::filesystem::path& database, const SeedSpec& spec);

struct DeliveryCounts {
  std::int64_t pending = 0, delivered = 0, dead = 0;
};
DeliveryCounts count_deliveries(const std::filesystem::path& database);  // row by row

// Drops the file from the page cache: the next start reads from the disk.
void forget_cached(const std::filesystem::path& database);

}  // namespace outboxd::bench
