// The command line of the simulations: many seeds, or one again.
//   PROGRAM [--seeds N] [--first SEED] [--steps N] [--seconds N] [--expect-violation]
// With --seconds it goes on with further seeds for so long. A seed that fails is printed, and fails again by
//   PROGRAM --first SEED --seeds 1 --steps N
// --expect-violation turns the exit status around: 0 when some seed failed (for the mutants).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace outboxd::simulation {

struct Seeds {
  std::string program;
  std::int64_t seeds = 1000;    // by default
  std::int64_t steps = 10'000;  // by default
  // Runs one, and answers how many steps there were. What it throws is a promise broken, or code that gives up.
  std::function<std::int64_t(std::uint64_t seed, std::int64_t steps)> run;
  std::function<std::string()> summary;  // of all that were run
};
int run_seeds(int argc, char** argv, const Seeds& seeds);

}  // namespace outboxd::simulation
