// What this machine could do at most: the same SQLite writes and the same HTTP requests as the daemon's, with
// nothing in between.
//
// In: the real StoreWriter on a database of the real schema, synchronous=FULL; each of its transactions
// accepts a group of events with one delivery each, and records the outcomes that have come in since the last
// one. The real HttpSender posts every event, built and signed by the real build_request, to the sink.
// Out: what comes before and between: HTTP requests in, JSON, matching, the scheduler, metrics, a producer.
// Two threads, one that writes and one that sends; the sink has its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

namespace outboxd::bench {

struct LimitLoad {
  std::int64_t events = 0;
  int requests_per_commit = 64;  // what so many producers have waiting when a commit begins
  int events_per_request = 1;
  int in_flight = 256;
  std::string url;
  std::string secret;
};

struct LimitResult {
  double seconds = 0;
  std::chrono::nanoseconds writing_cpu{}, sending_cpu{};  // of the two threads
  std::int64_t commits = 0;
  std::int64_t failed = 0;  // requests that were not answered 2xx
};

LimitResult run_limit(const std::filesystem::path& folder, const LimitLoad& load);

}  // namespace outboxd::bench
