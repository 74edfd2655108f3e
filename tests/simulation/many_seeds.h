// The command line of the simulations: run many seeds, or one again.
//   PROGRAM [--seeds N] [--first SEED] [--steps N] [--seconds N] [--expect-violation]
// With --seconds it goes on with further seeds for that long. A seed that fails is printed, and fails again with
//   PROGRAM --first SEED --seeds 1 --steps N
// --expect-violation inverts the exit status: 0 when some seed failed (for the mutants).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace outboxd::simulation {

struct Seeds {
  std::string program;
  std::int64_t seeds = 1000;    // by default
  std::int64_t steps = 10'000;  // by default
  // Runs one seed and returns the number of steps. An exception means a broken promise, or code that gives up.
  std::function<std::int64_t(std::uint64_t seed, std::int64_t steps)> run;
  std::function<std::string()> summary;  // of all seeds that were run
};
int run_seeds(int argc, char** argv, const Seeds& seeds);

}  // namespace outboxd::simulation
