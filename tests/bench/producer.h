// Sends requests to one of the daemon's Unix sockets over many kept-alive connections, and notes when each was
// answered: as fast as they are answered (closed loop), or at a fixed rate whatever the daemon does (open
// loop: a latency counts from when the request was due, so that a stall is not hidden by waiting for it).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/latencies.h"

namespace outboxd::bench {

struct Load {
  std::string socket = {};
  int connections = 64;
  std::int64_t requests = 0;
  double rate = 0;  // requests a second; 0: closed loop
  // The whole text of request `number` (from 0), which is due at `due`.
  std::function<std::string(std::int64_t number, std::int64_t due)> request = {};
  int status = 202;  // what it is to be answered
  // What may end it early: nothing more is sent when this turns true...
  const std::atomic<bool>* stop = nullptr;
  // ... and a daemon that hangs up is the end of a connection, and not an error.
  bool daemon_may_die = false;
};

struct LoadResult {
  std::vector<Sample> answered;  // those with the status wanted, in the order of their answers
  std::vector<bool> accepted;    // by number, of those that were sent
  std::int64_t sent = 0;
  std::int64_t refused = 0;  // answered with another status
  std::string first_refusal;
  // Open loop. How late the producer itself was: from when a request was due and a connection was free for it...
  double late_p99_ms = 0;
  std::int64_t held_back = 0;  // ... and how many were due while every connection waited for an answer
};

// Throws std::runtime_error when it cannot connect, or the daemon hangs up unasked.
LoadResult produce(const Load& load);

// A whole POST request with a body.
std::string post(const std::string& path, const std::string& content_type, const std::string& body);

// Requests that carry events: `per_request` of them each, numbered from `first`.
struct Events {
  int stream = 0;
  int per_request = 1;
  std::int64_t first = 0;
  std::function<std::string(std::int64_t number)> tenant = {};  // absent: the empty one
};
std::function<std::string(std::int64_t, std::int64_t)> requests_of(const Events& events);

}  // namespace outboxd::bench
