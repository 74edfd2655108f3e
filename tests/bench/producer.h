// Posts events over keep-alive connections to the ingest socket: as fast as they are acknowledged (closed
// loop), or at a fixed rate whatever the daemon does (open loop: an event's latency counts from when it was
// due, so that a stall is not hidden by waiting for it).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace outboxd::bench {

struct Load {
  std::string socket = {};
  int connections = 64;
  int events_per_request = 1;
  std::int64_t events = 0;    // in all
  double rate = 0;            // requests a second; 0: closed loop
  std::size_t payload = 200;  // bytes
};

struct LoadResult {
  std::vector<std::int64_t> ack_ns;  // one a request
  std::int64_t refused = 0;          // requests not answered 202
  double seconds = 0;
};

LoadResult produce(const Load& load);

}  // namespace outboxd::bench
