// Events as fast as they are acknowledged, through the daemon to one endpoint or to many in turn, until the last outcome
// is committed.
#pragma once

#include <cstdint>
#include <string>

#include "bench/report.h"
#include "bench/rig.h"

namespace outboxd::bench {

struct ClosedLoop {
  std::string name;
  std::int64_t events = 0;
  int producers = 64;
  int events_per_request = 1;
  int endpoints = 1;  // each with a tenant and a host of its own
  bool tls = false;
  // Events before those that are measured. They open the connections that these find kept alive.
  std::int64_t warm_up = 0;
};

// How many requests the one endpoint, which stands for many, may have in flight.
inline constexpr int kInFlightOfOne = 256;
// Every so manieth request's signature is checked.
inline constexpr int kVerifyEveryFast = 100;

Result run_closed_loop(const Settings& settings, const ClosedLoop& loop);

}  // namespace outboxd::bench
