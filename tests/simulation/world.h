// A world for the real scheduler (with its lanes, retry policy, rate limits and breakers): clock, store, network,
// producers and operators are simulated, all driven by one seed. Nothing sleeps: time jumps to what happens next.
//
// What goes wrong in it: crashes (memory is lost, what was committed stays), slow commits and reads, endpoints that
// hang, fail, flap, limit their rate or vanish, a policy that refuses, clocks set by an hour or by 400 days, endpoints
// paused, edited, moved and removed, deliveries discarded and replayed. The promises are checked at every step; a
// broken one is a Violation.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace outboxd::simulation {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Report {
  std::int64_t steps = 0;  // calls of Scheduler::next(), each after one event
  std::int64_t accepted = 0, attempts = 0, delivered = 0, dead = 0, discarded = 0, crashes = 0,
               clock_steps = 0;
  std::string to_string() const;
};

// Runs the world of this seed for `steps` steps, then heals it and lets every delivery end. Throws Violation.
Report run(std::uint64_t seed, std::int64_t steps);

}  // namespace outboxd::simulation
